import numpy as np
import pytest
from scipy import stats

from mmml.evaluation.statistics import class_interval, interval


def test_three_scores_need_t_of_4_30():
    mean, half = interval(np.array([1.0, 2.0, 3.0]))
    assert mean == 2.0
    assert half == pytest.approx(4.3027 / 3**0.5, rel=1e-4)


def test_agrees_with_scipy():
    scores = np.random.default_rng(0).random(50)
    mean, half = interval(scores)
    low, high = stats.t.interval(0.95, 49, loc=scores.mean(), scale=stats.sem(scores))
    assert (mean - half, mean + half) == (pytest.approx(low), pytest.approx(high))


def test_one_score_has_no_interval():
    assert interval(np.array([0.5])) == (0.5, None)


@pytest.mark.parametrize(("n", "ways", "less"), [(6, 1, 0.5), (40, 5, 0.5), (40, 20, 0.5), (600, 5, 0.8)])
def test_an_interval_over_classes_covers_the_mean_of_all_classes_there_could_be(n, ways, less):
    """Of 300 test splits of n classes, each as hard as chance made it, played in 500 episodes."""
    rng = np.random.default_rng(0)
    covered, plain = [], []
    for _ in range(300):
        hardness = rng.normal(0, 0.1, n)
        classes = rng.random((500, n)).argpartition(ways)[:, :ways]
        scores = 0.8 + hardness[classes].mean(1) + rng.normal(0, 0.02, 500)
        mean, narrow = interval(scores)
        wide = class_interval(scores, classes)
        assert wide >= narrow
        covered.append(abs(mean - 0.8) < wide)
        plain.append(abs(mean - 0.8) < narrow)
    assert 0.92 < np.mean(covered) < 0.98
    assert np.mean(plain) < less  # an interval over episodes says nothing of other classes


def test_where_all_classes_are_alike_both_intervals_are():
    rng = np.random.default_rng(0)
    classes = np.stack([rng.choice(100, 5, replace=False) for _ in range(2000)])
    scores = rng.normal(0.8, 0.05, 2000)
    assert class_interval(scores, classes) < 1.3 * interval(scores)[1]


def test_episodes_of_all_classes_tell_nothing_of_others():
    classes = np.tile(np.arange(5), (10, 1))
    assert class_interval(np.random.default_rng(0).random(10), classes) is None
    assert class_interval(np.array([np.nan, 1.0]), np.array([[0, 1], [2, 3]])) is None


def test_nor_do_episodes_within_alphabets():
    rng = np.random.default_rng(0)
    classes = np.stack([rng.choice(30, 5, replace=False) + 30 * (i % 4) for i in range(200)])
    assert class_interval(rng.random(200), classes) is None and class_interval(rng.random(50), classes[::4]) > 0
