import numpy as np
import pytest
from scipy import stats

from mmml.evaluation.statistics import class_interval, interval, paired_interval


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


@pytest.mark.parametrize(
    ("n", "ways", "less"), [(6, 1, 0.5), (40, 5, 0.5), (40, 20, 0.5), (600, 5, 0.8)]
)
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
    assert (
        class_interval(rng.random(200), classes) is None
        and class_interval(rng.random(50), classes[::4]) > 0
    )


def wilson(right, count, t):
    """The farther end of Wilson's interval from the share of right answers."""
    share = right / count
    centre = (share + t**2 / (2 * count)) / (1 + t**2 / count)
    half = t * (share * (1 - share) / count + t**2 / (4 * count**2)) ** 0.5 / (1 + t**2 / count)
    return half + abs(centre - share)


def test_all_right_is_no_certainty():
    scores, t = np.ones(100), stats.t.ppf(0.975, 99)
    assert interval(scores) == (1.0, 0.0)
    assert interval(scores, 25) == (1.0, pytest.approx(t**2 / (2500 + t**2)))
    assert interval(np.zeros(100), 25) == (0.0, pytest.approx(t**2 / (2500 + t**2)))


def test_a_few_wrong_answers_have_the_interval_of_wilson():
    scores = np.ones(300)
    scores[[5, 50, 200]] = 24 / 25  # one of 25 is wrong, in three episodes
    mean, half = interval(scores, 25)
    assert mean == pytest.approx(1 - 3 / 7500)
    assert half == pytest.approx(wilson(7497, 7500, stats.t.ppf(0.975, 299)), rel=1e-3)
    scores[[5, 50, 200]] = 1, 1, 22 / 25  # as many, but in one episode: worth as little as one
    assert interval(scores, 25)[1] == pytest.approx(
        wilson(2499, 2500, stats.t.ppf(0.975, 299)), rel=1e-2
    )


def test_where_many_are_wrong_the_interval_is_students():
    scores = np.random.default_rng(0).binomial(25, 0.9, 1000) / 25
    assert interval(scores, 25) == interval(scores)


def test_scores_that_are_no_shares_and_scores_that_diverged_have_students_interval():
    assert interval(np.array([1.5, 2.5]), 25) == interval(np.array([1.5, 2.5]))
    assert np.isnan(interval(np.array([np.nan, 1.0]), 25)[0])


@pytest.mark.parametrize(
    ("truth", "n"), [(0.9995, 100), (0.9995, 300), (0.997, 300), (0.99, 1000), (0.8, 100)]
)
def test_an_accuracy_is_covered_near_the_ceiling_too(truth, n):
    rng = np.random.default_rng(0)
    found = [interval(rng.binomial(25, truth, n) / 25, 25) for _ in range(600)]
    assert np.mean([abs(mean - truth) <= half for mean, half in found]) > 0.93


def test_equal_scores_are_no_certainty_that_two_are_equal():
    same, t = np.full(100, 0.96), stats.t.ppf(0.975, 99)
    assert paired_interval(same, same) == (0.0, 0.0)
    assert paired_interval(same, same, 25) == (0.0, pytest.approx(t * 2**0.5 / 2500))


def test_five_answers_more_tell_nothing_and_seven_do():
    a, b = np.ones(100), np.ones(100)
    for count, clear in ((5, False), (7, True)):
        b[:count] = 24 / 25
        mean, half = paired_interval(a, b, 25)
        assert mean == pytest.approx(count / 2500) and (mean > half) == clear
    b[:7] = 1
    b[0] = 18 / 25  # seven in one episode tell as little as one
    assert paired_interval(a, b, 25)[1] > 2 * 7 / 2500


@pytest.mark.parametrize(
    ("only_a", "only_b", "n"), [(0.0005, 0, 300), (0.001, 0, 100), (0.002, 0.001, 300)]
)
def test_small_differences_are_covered(only_a, only_b, n):
    rng, truth = np.random.default_rng(0), only_a - only_b
    found = []
    for _ in range(600):
        a, b, _ = rng.multinomial(25, [only_a, only_b, 1 - only_a - only_b], n).T / 25
        found.append(paired_interval(a, b, 25))
    assert np.mean([abs(mean - truth) <= half for mean, half in found]) > 0.93


def test_answers_that_come_together_count_once():
    """Of ten episodes of five answers one differs, in all of its answers:
    t(9) · √(0.1² + 2 · (5 / 50)²).
    """
    ours, theirs = np.eye(10)[0], np.zeros(10)
    mean, ci95 = paired_interval(ours, theirs, 5)
    assert (mean, ci95) == (pytest.approx(0.1), pytest.approx(2.262157 * 0.03**0.5, rel=1e-5))
