import pytest

from mmml.config.schema import EpisodeConfig, EvalEpisodes, TrainEpisodes
from mmml.data.base import Granularity
from mmml.episodes.setup import check_mappings, check_shapes, training_batches
from mmml.errors import UserError
from mmml.world import World

TRAIN = TrainEpisodes(ways={"min": 2, "max": 4}, shots=1, queries=2, mappings=["image:image"])
EVAL = EvalEpisodes(ways=[2], shots=[1], queries=2, mappings=["image:image"])


def test_every_step_draws_anew_and_the_same_again(samples):
    batches = training_batches(samples, TRAIN, size=2, seed=0)
    images = [batches(step).support.values["image"].tolist() for step in range(6)]
    assert len({str(i) for i in images}) == 6
    assert batches(3).support.values["image"].tolist() == images[3]
    other = training_batches(samples, TRAIN, size=2, seed=1)
    assert other(3).support.values["image"].tolist() != images[3]


def test_episodes_within_a_step_differ_and_steps_do_not_overlap(samples):
    shape = TrainEpisodes(ways=3, shots=1, queries=1, mappings=["image:image"])
    one = training_batches(samples, shape, size=1, seed=0)
    two = training_batches(samples, shape, size=2, seed=0)
    singles = [one(step).support.values["image"] for step in range(4)]
    pairs = [image for step in range(2) for image in two(step).support.values["image"].split(3)]
    assert all(a.equal(b) for a, b in zip(singles, pairs, strict=True))


def test_ranks_share_the_episodes_of_a_step(samples):
    """Steps 0, 1, 2 of 3 episodes: rank 0 of 2 takes episodes 0, 2 | 4 | 6, 8, and rank
    1 takes 1 | 3, 5 | 7.
    """

    def episodes(size, world):
        batches = training_batches(samples, TRAIN, size=size, seed=0, world=world)
        drawn = []
        for step in range(3):
            side = batches(step).support
            drawn.append(side.values["image"].split(side.shapes["image"][1]))
        return drawn

    together, zero, one = (episodes(3, world) for world in (World(), World(0, 2), World(1, 2)))
    for step, (evens, odds) in enumerate([([0, 2], [1]), ([1], [0, 2]), ([0, 2], [1])]):
        for share, rows in ((zero, evens), (one, odds)):
            assert len(share[step]) == len(rows)
            assert all(
                image.equal(together[step][i]) for image, i in zip(share[step], rows, strict=True)
            )


def test_a_range_of_ways_is_used(samples):
    batches = training_batches(samples, TRAIN, size=1, seed=0)
    assert {batches(step).support.shapes["image"][1] for step in range(40)} == {2, 3, 4}


def test_shares_of_the_training_classes_do_not_meet(samples):
    def classes(part):
        options = TrainEpisodes(
            ways=3, shots=1, queries=1, mappings=["text:image"], class_range=part
        )
        batches = training_batches(samples, options, size=4, seed=0)
        return {
            text.split(".")[0]
            for step in range(20)
            for text in batches(step).support.values["text"]
        }

    first, rest = classes([0.0, 0.5]), classes([0.5, 1.0])
    assert len(first) == len(rest) == 3 and not first & rest
    assert classes([0.0, 1.0]) == first | rest


def test_a_share_that_is_too_small_is_refused_before_training(samples):
    train = TrainEpisodes(
        ways=4, shots=1, queries=1, mappings=["image:image"], class_range=[0.0, 0.5]
    )
    options = EpisodeConfig(train=train, eval=EVAL)
    with pytest.raises(UserError, match="episode.train.ways=4 is more than the 3 classes"):
        check_shapes(options, dict.fromkeys(("train", "val", "test"), samples), trains=True)
    with pytest.raises(UserError, match=r"episode.train.class_range=\[0.5, 0.5\] must be"):
        TrainEpisodes(ways=4, shots=1, queries=1, mappings=["image:image"], class_range=[0.5, 0.5])


def test_a_mapping_may_not_come_twice_in_another_order(samples):
    class Both:
        name, modalities = "both", {"image": Granularity.SAMPLE, "text": Granularity.SAMPLE}

    judged = EvalEpisodes(
        ways=[2], shots=[1], queries=2, mappings=["image+text:image", "text+image:image"]
    )
    with pytest.raises(UserError, match="episode.eval.mappings names a mapping twice"):
        check_mappings(EpisodeConfig(train=TRAIN, eval=judged), Both(), trains=True)


def test_only_what_is_used_must_fit(samples):
    splits = {"train": samples, "val": samples, "test": samples}
    train = TrainEpisodes(ways=7, shots=1, queries=1, mappings=["image:image"])
    wide = EpisodeConfig(train=train, eval=EVAL)
    with pytest.raises(UserError, match="episode.train.ways=7 is more than the 6 classes"):
        check_shapes(wide, splits, trains=True)
    check_shapes(wide, splits, trains=False)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"ways": [2, 7, 3]}, "episode.eval.ways=7 is more than the 6 classes of the val split"),
        ({"shots": [1, 3, 2]}, "episode.eval: shots=3 plus queries=2 need 5 samples of a class"),
    ],
)
def test_the_largest_shape_that_is_judged_must_fit(samples, shape, message):
    judged = EvalEpisodes(
        **{"ways": [2], "shots": [1], "queries": 2, "mappings": ["image:image"], **shape}
    )
    with pytest.raises(UserError, match=message):
        check_shapes(
            EpisodeConfig(train=TRAIN, eval=judged),
            dict.fromkeys(("train", "val", "test"), samples),
            True,
        )


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (
            {"ways": {"min": 2, "max": 7}},
            "episode.train.ways=7 is more than the 6 classes of the train split",
        ),
        (
            {"shots": {"min": 1, "max": 4}},
            "episode.train: shots=4 plus queries=2 need 6 samples of a class",
        ),
    ],
)
def test_the_largest_shape_of_training_must_fit(samples, part, message):
    train = TrainEpisodes(
        **{"ways": 2, "shots": 1, "queries": 2, "mappings": ["image:image"], **part}
    )
    with pytest.raises(UserError, match=message):
        check_shapes(
            EpisodeConfig(train=train, eval=EVAL),
            dict.fromkeys(("train", "val", "test"), samples),
            True,
        )
