import pytest

from mmml.errors import UserError
from mmml.world import SINGLE_PROCESS, World


def test_rank_and_size_come_from_the_environment():
    assert World.from_environment({"RANK": "1", "WORLD_SIZE": "4", "LOCAL_RANK": "0"}) == World(
        rank=1, size=4
    )
    assert World.from_environment({}) == SINGLE_PROCESS == World(rank=0, size=1)


def test_rank_and_size_come_from_the_environment_of_this_process(monkeypatch):
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert World.from_environment() == World(2, 3)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        (
            {"WORLD_SIZE": "two"},
            "WORLD_SIZE=two must be a whole number, as torchrun sets it: unset it",
        ),
        (
            {"RANK": "-1", "WORLD_SIZE": "2"},
            "RANK=-1 must be a whole number, as torchrun sets it: unset it",
        ),
        (
            {"RANK": "2", "WORLD_SIZE": "2"},
            "RANK=2 must be less than WORLD_SIZE=2, as torchrun sets them: unset both",
        ),
        ({"RANK": "1"}, "RANK=1 must be less than WORLD_SIZE=1, as torchrun sets them: unset both"),
    ],
)
def test_what_torchrun_does_not_set_is_refused(environment, message):
    with pytest.raises(UserError) as refused:
        World.from_environment(environment)
    assert str(refused.value) == message


def test_rank_0_is_the_main_one():
    assert [World(rank, 3).is_main for rank in range(3)] == [True, False, False]


def test_a_rank_takes_the_numbers_that_are_its_own_modulo_the_size():
    assert [list(World(rank, 2).share(range(5, 10))) for rank in range(2)] == [[6, 8], [5, 7, 9]]
    assert [list(World(rank, 3).share(range(7))) for rank in range(3)] == [
        [0, 3, 6],
        [1, 4],
        [2, 5],
    ]
    assert [list(World(rank, 3).share(range(4, 5))) for rank in range(3)] == [[], [4], []]
    assert SINGLE_PROCESS.share(range(8, 12)) == range(8, 12)
