"""Rows that hold the same value never stand on both sides of an episode, whatever the options."""

from dataclasses import replace

import numpy as np
import pytest

from mmml.config.schema import EpisodeConfig, EvalEpisodes, TrainEpisodes
from mmml.data.base import Samples
from mmml.episodes import EpisodeShape, Sampler
from mmml.episodes.setup import check_shapes, for_episodes
from mmml.errors import UserError


def of_numbers(numbers: list[list[int]], name: str = "duplicates") -> Samples:
    """A class for each list, a row for each of its numbers."""
    flat = np.array([n for several in numbers for n in several])
    return Samples(
        [f"c{i}" for i in range(len(numbers))],
        np.cumsum([0, *map(len, numbers)]),
        {},
        **{name: flat},
    )


def options(group_disjoint=False):
    train = TrainEpisodes(ways=2, shots=1, queries=1, mappings=["image:image"])
    judged = EvalEpisodes(ways=[2], shots=[1], queries=1, mappings=["image:image"])
    return EpisodeConfig(group_disjoint=group_disjoint, train=train, eval=judged)


PAIRS = [
    [0, 0, 1, 1, 2, 2, 3, 3],
    [4, 5, 6, 7, 8, 9, 10, 11],
    [12] * 4 + [13] * 4,
    [4, 14, 15, 16, 17, 18, 19, 20],
]


@pytest.mark.parametrize(
    "shape", [EpisodeShape(4, 1, 1), EpisodeShape(4, 4, 4), EpisodeShape(3, 2, 3)]
)
def test_no_value_is_on_both_sides_in_any_class(shape):
    """Classes 0 and 2 hold some values several times, classes 1 and 3 share one."""
    samples = of_numbers(PAIRS)
    kept = for_episodes({"train": samples}, options())["train"]
    drawn = Sampler(kept, 0, "train").draw(range(400), shape)
    numbers = samples.duplicates
    for support, query in zip(numbers[drawn.support], numbers[drawn.query], strict=True):
        assert not set(support.ravel()) & set(query.ravel())
    assert (samples.labels[drawn.support] == drawn.classes[..., None]).all()
    assert (samples.labels[drawn.query] == drawn.classes[..., None]).all()
    rows = np.concatenate([drawn.support, drawn.query], axis=2).reshape(400, -1)
    assert all(len(np.unique(row)) == len(row) for row in rows)


def test_rows_that_are_drawn_anew_heed_what_the_other_classes_show_already():
    """Class 0 is drawn anew where it shows 0 twice, and its 1 may then stand only where
    that of class 1 does.
    """
    samples = of_numbers([[0, 0, 1, 1], [1, 2]])
    drawn = Sampler(samples, 0, "train").draw(range(200), EpisodeShape(2, 1, 1))
    for support, query in zip(
        samples.duplicates[drawn.support], samples.duplicates[drawn.query], strict=True
    ):
        assert not set(support.ravel()) & set(query.ravel())


def test_episodes_without_such_rows_are_what_they_are_without_duplicates():
    samples = of_numbers(PAIRS)
    plain = Sampler(replace(samples, duplicates=None), 3, "test").draw(
        range(200), EpisodeShape(2, 1, 1)
    )
    drawn = Sampler(samples, 3, "test").draw(range(200), EpisodeShape(2, 1, 1))
    numbers = samples.duplicates
    meet = [
        bool(set(numbers[s].ravel()) & set(numbers[q].ravel()))
        for s, q in zip(plain.support, plain.query, strict=True)
    ]
    assert 20 < sum(meet) < 180
    for i in np.flatnonzero(~np.array(meet)):
        assert (plain.support[i] == drawn.support[i]).all() and (
            plain.query[i] == drawn.query[i]
        ).all()
        assert (plain.classes[i] == drawn.classes[i]).all() and (
            plain.pick[i] == drawn.pick[i]
        ).all()


def test_groups_and_duplicates_are_kept_apart_together_and_are_not_linked_by_one_another():
    """Scenes of two lines; the line "yes" is in all of them, which makes them no single scene."""
    scenes, lines = [0, 0, 1, 1, 2, 2, 3, 3], [9, 1, 9, 2, 9, 3, 9, 4]
    samples = replace(
        of_numbers([scenes, [s + 4 for s in scenes]], "groups"), duplicates=np.array(lines * 2)
    )
    kept = for_episodes({"test": samples}, options(group_disjoint=True))["test"]
    drawn = Sampler(kept, 0, "test").draw(range(200), EpisodeShape(2, 2, 2))
    for numbers in (samples.groups, samples.duplicates):
        for support, query in zip(numbers[drawn.support], numbers[drawn.query], strict=True):
            assert not set(support.ravel()) & set(query.ravel())


def test_a_class_of_one_value_is_named_before_training():
    sampler = Sampler(of_numbers([[0, 1, 2, 3], [4, 4, 4, 4], [5, 6, 7, 8]]), 0, "val")
    with pytest.raises(
        UserError,
        match="identical samples of 'c1' of the val split cannot be shared out between shots",
    ):
        sampler.check(EpisodeShape(2, 1, 1), "episode.eval")


def test_what_shows_no_single_support_needs_none_apart():
    """Names on the support side: every class has one sample, or four times the same."""
    samples = of_numbers([[0], [1, 1, 1, 1], [2]])
    sampler = Sampler(samples, 0, "test")
    sampler.check(EpisodeShape(3, 0, 1), "episode.eval")
    assert sampler.draw(range(5), EpisodeShape(3, 0, 1)).query.shape == (5, 3, 1)
    small = Sampler(of_numbers([[0], [1], [2]]), 0, "test")
    assert small.draw([0], EpisodeShape(3, 1, 1)).query.shape == (1, 3, 1)


def test_the_shapes_of_a_config_are_checked(samples):
    alike = replace(samples, duplicates=np.zeros(len(samples.labels), np.int64))
    with pytest.raises(UserError, match="identical samples of"):
        check_shapes(
            options(),
            for_episodes({"train": samples, "val": alike, "test": samples}, options()),
            trains=True,
        )
