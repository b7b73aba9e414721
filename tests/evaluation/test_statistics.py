import numpy as np
import pytest
from scipy import stats

from mmml.evaluation.statistics import interval


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
