"""Means and their uncertainty."""

import math

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import stdtrit

# Wrong (or right) answers, as if they were independent, from which on Student's t holds.
COMMON = 50


def finite(value: float | None) -> float | None:
    """The value, or None if it is not finite, which JSON cannot hold."""
    return value if value is not None and math.isfinite(value) else None


def interval(scores: np.ndarray, answers: int | None = None) -> tuple[float, float | None]:
    """The mean of n scores and half the width of its 95 % interval (None if n < 2).

    Student's t (1908): t(0.975, n − 1) · s / √n with the sample deviation s (ddof = 1). For three
    scores t is 4.30, not 1.96. Where scores are shares of right answers, and nearly all are right
    or nearly all wrong, that is too narrow (and 0 if none is wrong): there it is Wilson's interval
    (1927) of as many independent answers as the deviation of the scores speaks for (Kish, 1965),
    whose farther end is taken. ``scripts/interval_coverage.py`` simulates both.

    Args:
        scores: ``[n]``.
        answers: that each score is a share of; None if it is none.
    """
    n = len(scores)
    with np.errstate(invalid="ignore", over="ignore"):  # scores of what diverged
        mean = float(np.mean(scores))
        if n < 2:
            return mean, None
        error, t = float(np.std(scores, ddof=1)) / math.sqrt(n), float(stdtrit(n - 1, 0.975))
    if answers is None or not 0 <= mean <= 1:
        return mean, t * error
    count = float(n * answers)
    if error > 0:
        count = min(count, mean * (1 - mean) / error**2)  # independent ones
    if count * min(mean, 1 - mean) >= COMMON:
        return mean, t * error
    centre = (mean + t**2 / (2 * count)) / (1 + t**2 / count)
    half = t * math.sqrt(mean * (1 - mean) / count + (t / (2 * count)) ** 2) / (1 + t**2 / count)
    return mean, half + abs(centre - mean)


def paired_interval(
    a: np.ndarray, b: np.ndarray, answers: int | None = None
) -> tuple[float, float]:
    """The mean of the differences of n paired scores, and half the width of its Student-t
    95 % interval.

    Where scores are shares of right answers, two more answers that only one of the two has right
    are added to the variance, so that it is not too narrow (or 0) where there are few such (after
    Agresti and Min, 2005). Correlated answers within an episode count as fewer.

    Args:
        a: scores ``[n]``, n ≥ 2.
        b: of the same episodes.
        answers: see :func:`interval`.
    """
    n, differences = len(a), a - b
    mean, error = float(differences.mean()), float(np.std(differences, ddof=1)) / math.sqrt(n)
    if answers is not None:
        count = n * answers
        total = float(np.abs(differences).sum()) * answers
        together = max(1.0, (error * count) ** 2 / total) if total else 1.0
        error = math.hypot(error, math.sqrt(2) * together / count)
    return mean, float(stdtrit(n - 1, 0.975)) * error


def class_interval(
    scores: np.ndarray, classes: np.ndarray, least: float | None = None
) -> float | None:
    """Half the width of a 95 % interval of the mean that treats both classes and
    episodes as samples.

    A mean over episodes of k of n classes is a U-statistic of the classes; by Hoeffding (1948,
    equation 5.13) its variance is about k² ζ / n. ζ is estimated from the mean scores
    of the episodes that each class is in; as these share the other classes, they vary less by
    (n − k) / (n − 1) (the jackknife of Arvesen, 1969). To that is added what is left to the draw
    of episodes, which is taken out of the estimate of ζ.

    Args:
        scores: of the episodes, ``[E]``.
        classes: of each, ``[E, ways]``, drawn from all.
        least: half the width of the interval over episodes alone, which this one is
            never narrower than.

    Returns:
        None where n < 2 k, so that little is known of other classes, and where
        classes fall into sets that never meet, such as alphabets.
    """
    members, of = np.unique(classes, return_inverse=True)
    (episodes, ways), n, of = classes.shape, len(members), of.reshape(classes.shape)
    if (
        n < 2 * ways
        or episodes < 2
        or not np.isfinite(scores).all()
        or (ways > 1 and not _meet(of, n))
    ):
        return None
    counts = np.bincount(of.ravel(), minlength=n)
    means = np.bincount(of.ravel(), np.repeat(scores, ways), minlength=n) / counts
    left, shared, noise = np.var(scores, ddof=1), (n - ways) / (n - 1), np.mean(1 / counts)
    # Var(means) = among + (left − among) · noise, where left holds a class's own part.
    among = (
        max(0.0, np.var(means, ddof=1) - left * noise * shared) / max(1 - noise, 0.1) / shared**2
    )
    variance = ways**2 * among / n + left / episodes
    return max(least or 0.0, float(stdtrit(min(n, episodes) - 1, 0.975) * math.sqrt(variance)))


def _meet(classes: np.ndarray, n: int) -> bool:
    """Whether any two of n classes are linked by episodes ``[E, ways]`` that share classes."""
    first, others = np.repeat(classes[:, 0], classes.shape[1]), classes.ravel()
    links = coo_array((np.ones(len(others)), (first, others)), shape=(n, n))
    return int(connected_components(links, directed=False, return_labels=False)) == 1
