from dataclasses import replace

import numpy as np
import pytest

from mmml.config.schema import EpisodeConfig, EvalEpisodes, TrainEpisodes
from mmml.data.base import OfficialEpisodes
from mmml.episodes import EpisodeShape, Sampler
from mmml.episodes.setup import check_shapes, for_episodes
from mmml.errors import UserError

RUNS = OfficialEpisodes(
    np.array([[4, 2], [0, 3]]),
    np.array([[[22], [9]], [[0], [15]]]),
    np.array([[[23], [10]], [[1], [16]]]),
)


def options(train=False, judged=False, official_episodes=False):
    mappings = ["image:image"]
    return EpisodeConfig(
        train=TrainEpisodes(ways=2, shots=1, queries=1, mappings=mappings, within_superclass=train),
        eval=EvalEpisodes(
            [2],
            [1],
            queries=1,
            mappings=mappings,
            within_superclass=judged,
            official_episodes=official_episodes,
        ),
    )


@pytest.fixture
def kinds(samples):
    """The six classes are of three kinds, of 2, 3 and 1 classes."""
    return replace(samples, superclasses=np.array([0, 1, 0, 1, 2, 1]), official_episodes=RUNS)


def test_the_classes_of_an_episode_are_of_one_superclass(kinds):
    drawn = Sampler(replace(kinds, official_episodes=None), 0, "val").draw(
        range(200), EpisodeShape(2, 1, 1)
    )
    found = kinds.superclasses[drawn.classes]
    assert (found == found[:, :1]).all() and set(found[:, 0].tolist()) == {0, 1}
    assert 70 < (found[:, 0] == 0).sum() < 130
    assert {tuple(c) for c in drawn.classes[found[:, 0] == 0].tolist()} == {(0, 2), (2, 0)}


def test_of_a_share_of_the_classes_those_of_a_superclass_are_drawn(kinds):
    sampler = Sampler(replace(kinds, official_episodes=None), 0, "train", among=np.array([2, 3, 5]))
    assert {
        frozenset(c) for c in sampler.draw(range(20), EpisodeShape(2, 1, 1)).classes.tolist()
    } == {frozenset([3, 5])}
    assert set(sampler.draw(range(40), EpisodeShape(1, 1, 1)).classes.ravel().tolist()) == {2, 3, 5}


def test_more_ways_than_any_superclass_has_are_refused(kinds):
    with pytest.raises(
        UserError,
        match="episode.eval.ways=4 is more than the 3 classes of any one superclass of the val",
    ):
        Sampler(replace(kinds, official_episodes=None), 0, "val").check(
            EpisodeShape(4, 1, 1), "episode.eval"
        )


def test_what_is_not_asked_for_is_not_heeded(kinds):
    splits = dict.fromkeys(("train", "val", "test"), kinds)
    plain = for_episodes(splits, options())
    assert all(s.superclasses is None and s.official_episodes is None for s in plain.values())
    prepared = for_episodes(splits, options(train=True, official_episodes=True))
    assert [s.superclasses is not None for s in prepared.values()] == [True, False, False]
    assert [s.official_episodes is not None for s in prepared.values()] == [False, False, True]
    finished = for_episodes(splits, options(train=True, judged=True), trains=False)
    assert [s.superclasses is not None for s in finished.values()] == [False, True, True]


def test_a_dataset_that_has_none_is_refused(samples):
    splits = dict.fromkeys(("train", "val", "test"), samples)
    with pytest.raises(
        UserError, match="within_superclass=true needs superclasses, and this dataset has none"
    ):
        for_episodes(splits, options(judged=True))
    with pytest.raises(
        UserError, match="episode.eval.official_episodes=true needs official episodes"
    ):
        for_episodes(splits, options(official_episodes=True))
    assert for_episodes(splits, options(train=True), trains=False)["train"].superclasses is None


def test_published_episodes_are_played_as_they_are(kinds):
    sampler = Sampler(kinds, 0, "test")
    drawn = sampler.draw([1, 0], EpisodeShape(2, 1, 1))
    assert drawn.classes.tolist() == [[0, 3], [4, 2]]
    assert drawn.support.tolist() == [[[0], [15]], [[22], [9]]] and drawn.query.tolist() == [
        [[1], [16]],
        [[23], [10]],
    ]
    assert (
        sampler.at_most(1000) == 2
        and Sampler(replace(kinds, official_episodes=None), 0, "test").at_most(1000) == 1000
    )


def test_published_episodes_have_their_own_shape(kinds):
    splits = for_episodes(
        dict.fromkeys(("train", "val", "test"), kinds), options(official_episodes=True)
    )
    check_shapes(options(official_episodes=True), splits, trains=True)
    with pytest.raises(
        UserError,
        match=r"official_episodes=true: the official episodes have ways=2, shots=1, queries=1; set",
    ):
        Sampler(kinds, 0, "test").check(EpisodeShape(3, 1, 1), "episode.eval")
