from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmml.config.schema import EpisodeConfig, EvalEpisodes, TrainEpisodes
from mmml.data.base import Samples
from mmml.episodes import EpisodeShape, Sampler
from mmml.episodes.setup import check_shapes, for_episodes, training_batches
from mmml.errors import UserError


def of_groups(groups: list[list[int]]) -> Samples:
    """A class for each list, a row for each of its groups."""
    flat = np.array([g for several in groups for g in several])
    return Samples(
        [f"c{i}" for i in range(len(groups))], np.cumsum([0, *map(len, groups)]), {}, groups=flat
    )


def options(group_disjoint):
    train = TrainEpisodes(ways=2, shots=1, queries=1, mappings=["image:image"])
    judged = EvalEpisodes(ways=[2], shots=[1], queries=1, mappings=["image:image"])
    return EpisodeConfig(group_disjoint=group_disjoint, train=train, eval=judged)


@settings(max_examples=40, deadline=None)
@given(speakers=st.integers(3, 8), seed=st.integers(0, 2**40), number=st.integers(0, 2**40))
def test_no_group_is_on_both_sides_of_an_episode_in_any_class(speakers, seed, number):
    samples = of_groups([list(range(speakers)) * 4] * 5)
    drawn = Sampler(samples, seed, "train").draw([number], EpisodeShape(3, 2, 3))
    groups = samples.groups
    assert not set(groups[drawn.support].ravel()) & set(groups[drawn.query].ravel())
    rows = np.concatenate([drawn.support, drawn.query], axis=2)
    assert len(set(rows.ravel().tolist())) == rows.size == 15
    assert (samples.labels[rows] == drawn.classes[..., None]).all()


def test_without_the_option_groups_mix():
    samples = of_groups([[0, 1, 2] * 4] * 5)
    mixed = for_episodes({"train": samples}, options(group_disjoint=False))["train"]
    drawn = Sampler(mixed, 0, "train").draw([0], EpisodeShape(3, 2, 3))
    assert set(samples.groups[drawn.support].ravel()) & set(samples.groups[drawn.query].ravel())
    kept = for_episodes({"train": samples}, options(group_disjoint=True))["train"]
    assert kept.groups is samples.groups


def test_an_episode_is_a_pure_function_of_its_number():
    samples = of_groups([[0, 1, 2, 3] * 4] * 5)
    shape = EpisodeShape(3, 1, 2)
    together = Sampler(samples, 0, "test").draw([5, 3], shape)
    alone = Sampler(samples, 0, "test").draw([3], shape)
    assert together.query[1].tolist() == alone.query[0].tolist()


def test_a_class_of_one_group_is_named_before_training():
    samples = of_groups([[0, 1, 2, 3], [4, 4, 4, 4], [0, 1, 2, 3]])
    with pytest.raises(
        UserError, match="groups of 'c1' of the val split cannot be shared out between shots=1"
    ):
        Sampler(samples, 0, "val").check(EpisodeShape(2, 1, 1), "episode.eval")


def test_a_side_of_many_rows_takes_whole_groups_where_single_rows_would_take_some_of_each():
    samples = of_groups([[video for video in range(12) for _ in range(12)]] * 2)
    sampler, shape = Sampler(samples, 0, "test"), EpisodeShape(1, 60, 24)
    sampler.check(shape, "episode.eval")
    drawn = sampler.draw(range(5), shape)
    for support, query in zip(
        samples.groups[drawn.support], samples.groups[drawn.query], strict=True
    ):
        assert (len(set(support.ravel())), len(set(query.ravel()))) == (5, 2)
        assert not set(support.ravel()) & set(query.ravel())
    assert len({tuple(sorted(set(s.ravel()))) for s in samples.groups[drawn.support]}) > 1


def test_episodes_of_one_shape_are_drawn_in_one_way():
    samples = of_groups([[video for video in range(12) for _ in range(12)]] * 2)
    for shots, several in ((1, {1}), (36, {3})):
        drawn = Sampler(samples, 0, "test").draw(range(40), EpisodeShape(1, shots, 24))
        assert {len(set(s.ravel())) for s in samples.groups[drawn.support]} == several


def test_a_dataset_without_groups_is_refused(samples):
    with pytest.raises(UserError, match="episode.group_disjoint=true needs groups"):
        for_episodes({"val": samples}, options(group_disjoint=True))


def test_training_and_the_check_before_it_keep_groups_apart(samples):
    grouped = replace(samples, groups=np.arange(len(samples.labels)) % 2)
    batch = training_batches(grouped, options(True).train, size=1, seed=0)(0)
    drawn = Sampler(grouped, 0, "train").draw([0], EpisodeShape(2, 1, 1))
    assert batch.support.values["image"].equal(
        grouped.columns["image"].values[drawn.support.ravel()]
    )
    one_group = replace(samples, groups=np.zeros(len(samples.labels), int))
    with pytest.raises(UserError, match="of the val split cannot be shared out"):
        check_shapes(
            options(True), {"train": grouped, "val": one_group, "test": grouped}, trains=True
        )


def test_other_classes_are_drawn_where_groups_cannot_be_kept_apart():
    """Any two of these three classes share a speaker, in such a way that some
    pairs cannot be played.
    """
    samples = of_groups([[0, 0, 1, 1], [1, 1, 2, 2], [0, 0, 1, 1], [3, 3, 4, 4], [5, 5, 6, 6]])
    sampler = Sampler(samples, 0, "test")
    drawn = sampler.draw(range(50), EpisodeShape(2, 2, 2))
    assert all(
        not set(samples.groups[s].ravel()) & set(samples.groups[q].ravel())
        for s, q in zip(drawn.support, drawn.query, strict=True)
    )
