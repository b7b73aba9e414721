"""What a run on problems learns from, without a process of its own."""

import pytest
import torch

from mmml import run as runs
from mmml.config.compose import compose_plain
from mmml.config.schema import check_run
from mmml.world import SINGLE_PROCESS, World

QUADRATIC = [
    "experiment=quadratic",
    "trainer.meta_batch_size=4",
    "trainer.device=cpu",
    "problem.dimensions=3",
]


@pytest.fixture(scope="module")
def plain():
    return compose_plain(QUADRATIC)


def starts(problems):
    """Where each search starts, as something that can be counted."""
    return [tuple(start) for start in problems.initial()["theta"].tolist()]


def assembled(plain, **changes):
    return runs.assemble(check_run(plain | changes))


def test_no_problem_is_met_twice_in_training(plain):
    batch = assembled(plain).batches(SINGLE_PROCESS)
    met = [start for step in range(5) for start in starts(batch(step))]
    assert len(set(met)) == len(met) == 20
    assert starts(batch(3)) == met[12:16], "a step draws the same again"


def test_ranks_share_the_problems_of_a_step(plain):
    experiment = assembled(plain)
    zero, one, together = (
        experiment.batches(world) for world in (World(0, 2), World(1, 2), SINGLE_PROCESS)
    )
    assert (
        starts(zero(3)) == starts(together(3))[0::2] and starts(one(3)) == starts(together(3))[1::2]
    )


def test_problems_of_training_are_no_problems_of_validation_or_test(plain):
    experiment = assembled(plain)
    judged = [
        experiment.context.family.draw(range(20), 0, s, None, torch.device("cpu"))
        for s in ("val", "test")
    ]
    met = {start for step in range(5) for start in starts(experiment.batches(SINGLE_PROCESS)(step))}
    assert not met & {start for problems in judged for start in starts(problems)}


def test_the_seed_of_a_run_changes_its_training_and_not_what_judges_it(plain):
    zero, one = (assembled(plain, seed=seed) for seed in (0, 1))
    assert starts(zero.batches(SINGLE_PROCESS)(0)) != starts(one.batches(SINGLE_PROCESS)(0))
    assert zero.context.options.seed == one.context.options.seed == 0
    assert zero.context.fingerprint() == one.context.fingerprint()
    assert any(
        not torch.equal(a, b)
        for a, b in zip(zero.learner.parameters(), one.learner.parameters(), strict=True)
    )
