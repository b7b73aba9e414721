import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmml.data.base import Samples
from mmml.episodes import EpisodeShape, Sampler
from mmml.episodes.sampler import choose_int, distinct
from mmml.errors import UserError

SHAPE = EpisodeShape(ways=3, shots=2, queries=2)


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(3, 40), min_size=2, max_size=30),
    seed=st.integers(0, 2**40),
    number=st.integers(0, 2**40),
    data=st.data(),
)
def test_every_episode_is_well_formed(counts, seed, number, data):
    ways = data.draw(st.integers(2, len(counts)))
    shots = data.draw(st.integers(1, min(counts) - 1))
    queries = data.draw(st.integers(1, min(counts) - shots))
    samples = Samples([str(i) for i in range(len(counts))], np.cumsum([0, *counts]), {})
    drawn = Sampler(samples, seed, "train").draw([number], EpisodeShape(ways, shots, queries))
    assert drawn.support.shape == (1, ways, shots) and drawn.query.shape == (1, ways, queries)
    assert len(set(drawn.classes[0].tolist())) == ways
    rows = np.concatenate([drawn.support, drawn.query], axis=2)
    # No sample twice: not in support and query either.
    assert len(set(rows.ravel().tolist())) == rows.size
    assert (samples.labels[rows] == drawn.classes[..., None]).all()
    assert (drawn.pick >= 0).all() and (drawn.pick < 1).all()


def test_an_episode_is_a_pure_function_of_seed_split_and_number(samples):
    def rows(seed, split, numbers):
        drawn = Sampler(samples, seed, split).draw(numbers, SHAPE)
        return np.concatenate([drawn.support, drawn.query], axis=2).tolist()

    assert rows(0, "test", [5, 3]) == [rows(0, "test", [5])[0], rows(0, "test", [3])[0]]
    different = [
        rows(0, "test", [5]),
        rows(1, "test", [5]),
        rows(0, "val", [5]),
        rows(0, "test", [6]),
    ]
    assert len({str(r) for r in different}) == 4


def test_labels_do_not_follow_class_order(samples):
    classes = Sampler(samples, 0, "train").draw(range(600), EpisodeShape(6, 1, 1)).classes
    share = np.stack([(classes == c).mean(0) for c in range(6)])
    assert abs(share - 1 / 6).max() < 0.06


def test_every_sample_is_equally_likely_in_every_place():
    counts = np.full(2000, 5)
    drawn = distinct(np.random.default_rng(0), counts, 3)
    share = np.stack([(drawn == i).mean(0) for i in range(5)])
    assert abs(share - 0.2).max() < 0.035


def test_all_samples_of_a_class_can_be_used():
    drawn = distinct(np.random.default_rng(0), np.full(50, 4), 4)
    assert (np.sort(drawn, axis=1) == np.arange(4)).all()


def test_too_many_ways_names_the_number_of_classes(samples):
    with pytest.raises(
        UserError, match=r"episode.eval.ways=7 is more than the 6 classes of the test split"
    ):
        Sampler(samples, 0, "test").check(EpisodeShape(7, 1, 1), "episode.eval")


def test_too_small_a_class_is_named(samples):
    with pytest.raises(
        UserError, match="need 5 samples of a class, but class 'class 0' of the test split has 4"
    ):
        Sampler(samples, 0, "test").check(EpisodeShape(2, 3, 2), "episode.eval")


def test_ranges_include_both_ends():
    rng = np.random.default_rng(0)
    assert {choose_int(rng, {"min": 2, "max": 4}) for _ in range(100)} == {2, 3, 4}
    assert choose_int(rng, 7) == 7
