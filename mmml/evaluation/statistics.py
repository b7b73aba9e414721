"""Means and their confidence intervals."""

import math

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.special import stdtrit

# Effective number of wrong (or right) answers from which Student's t is accurate.
COMMON = 50


def finite(value: float | None) -> float | None:
    """Return the value, or None if it is not finite, which JSON cannot represent."""
    return value if value is not None and math.isfinite(value) else None


def interval(scores: np.ndarray, answers: int | None = None) -> tuple[float, float | None]:
    """Return the mean of n scores and the half-width of its 95 % interval (None if n < 2).

    The half-width is that of Student's t (1908): t(0.975, n − 1) · s / √n with the sample standard
    deviation s (ddof = 1). This is too narrow for shares of right answers of which nearly all are
    right or nearly all are wrong (it is 0 if all are right). Then Wilson's interval (1927) is used,
    and the farther of its ends gives the half-width. Its number of answers is the effective number
    of independent ones, from the standard deviation of the scores (Kish, 1965).
    ``scripts/interval_coverage.py`` simulates the coverage of both intervals.

    Args:
        scores: ``[n]``.
        answers: the number of answers that each score is a share of; None for other scores.
    """
    n = len(scores)
    with np.errstate(invalid="ignore", over="ignore"):  # diverged scores
        mean = float(np.mean(scores))
        if n < 2:
            return mean, None
        error, t = float(np.std(scores, ddof=1)) / math.sqrt(n), float(stdtrit(n - 1, 0.975))
    if answers is None or not 0 <= mean <= 1:
        return mean, t * error
    count = float(n * answers)
    if error > 0:
        count = min(count, mean * (1 - mean) / error**2)  # effective number of independent answers
    if count * min(mean, 1 - mean) >= COMMON:
        return mean, t * error
    centre = (mean + t**2 / (2 * count)) / (1 + t**2 / count)
    half = t * math.sqrt(mean * (1 - mean) / count + (t / (2 * count)) ** 2) / (1 + t**2 / count)
    return mean, half + abs(centre - mean)


def paired_interval(
    a: np.ndarray, b: np.ndarray, answers: int | None = None
) -> tuple[float, float]:
    """Return the mean difference a − b of n paired scores, and the half-width of its Student-t 95 %
    interval.

    For shares of right answers, the variance of two more answers that only one of the two
    predictors gets right is added, so that the interval is not too narrow (or 0) if there are few
    such answers (after Agresti and Min, 2005). The number of answers is reduced if answers within
    an episode are correlated.

    Args:
        a: scores ``[n]``, n ≥ 2.
        b: the other predictor's scores on the same episodes, ``[n]``.
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
    """Return the half-width of a 95 % interval of the mean that treats both classes and episodes as
    samples.

    A mean over episodes of k out of n classes is a U-statistic of the classes; its variance is
    about k² ζ / n (Hoeffding, 1948, equation 5.13). ζ is estimated from the mean score of the
    episodes of each class. These means share the other classes of the episodes, so they vary less
    by the factor (n − k) / (n − 1) (the jackknife of Arvesen, 1969). The variance from drawing the
    episodes is subtracted from the estimate of ζ, and added to the total.

    Args:
        scores: the score of each episode, ``[E]``.
        classes: the classes of each episode, ``[E, ways]``, drawn from all classes.
        least: the half-width of the interval over episodes alone; the result is at least this.

    Returns:
        The half-width; None if n < 2 k, since then other classes are hardly known, if there are
            fewer than two episodes or scores that are not finite, or if classes fall into sets that
            never occur together, such as alphabets.
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
    # Var(means) = among + (left − among) · noise, since left contains the part of the class.
    among = (
        max(0.0, np.var(means, ddof=1) - left * noise * shared) / max(1 - noise, 0.1) / shared**2
    )
    variance = ways**2 * among / n + left / episodes
    return max(least or 0.0, float(stdtrit(min(n, episodes) - 1, 0.975) * math.sqrt(variance)))


def _meet(classes: np.ndarray, n: int) -> bool:
    """Return whether all n classes are linked, directly or indirectly, by episodes ``[E, ways]``
    with common classes.
    """
    first, others = np.repeat(classes[:, 0], classes.shape[1]), classes.ravel()
    links = coo_array((np.ones(len(others)), (first, others)), shape=(n, n))
    return int(connected_components(links, directed=False, return_labels=False)) == 1
