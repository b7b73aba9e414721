"""Means and their uncertainty."""

import math

import numpy as np
from scipy.special import stdtrit


def finite(value: float | None) -> float | None:
    """The value for JSON, which has no NaN and no infinity: None instead."""
    return value if value is not None and math.isfinite(value) else None


def interval(scores: np.ndarray) -> tuple[float, float | None]:
    """The mean of n scores and half the width of its Student-t 95 % interval (None if n < 2).

    Student (1908): t(0.975, n − 1) · s / √n with the sample deviation s (ddof = 1). For three
    scores t is 4.30, not 1.96.
    """
    n = len(scores)
    with np.errstate(invalid="ignore", over="ignore"):  # scores of what diverged
        mean = float(np.mean(scores))
        if n < 2:
            return mean, None
        return mean, float(stdtrit(n - 1, 0.975) * np.std(scores, ddof=1) / math.sqrt(n))


def class_interval(scores: np.ndarray, classes: np.ndarray) -> float | None:
    """Half the width of a 95 % interval of the mean that takes the classes for a sample too, not only the episodes.

    A mean over episodes of k of n classes is a U-statistic of the classes; by Hoeffding (1948, equation 5.13) its
    variance is about k² ζ / n, where ζ is the variance, among classes, of the mean score of the episodes that a class
    is in. To that is added what is left to the draw of episodes, which is taken out of the estimate of ζ.

    Args:
        scores: of the episodes, ``[E]``.
        classes: of each, ``[E, ways]``.

    Returns:
        Never less than :func:`interval`; None where every episode has all classes, so that nothing is known of others.
    """
    members, of = np.unique(classes, return_inverse=True)
    (episodes, ways), n = classes.shape, len(members)
    if n <= ways or episodes < 2 or not np.isfinite(scores).all():
        return None
    counts = np.bincount(of.ravel(), minlength=n)
    means = np.bincount(of.ravel(), np.repeat(scores, ways), minlength=n) / counts
    left = np.var(scores, ddof=1)
    among = max(0.0, np.var(means, ddof=1) - np.mean(left / counts))
    variance = ways**2 * among / n + left / episodes
    return float(stdtrit(min(n, episodes) - 1, 0.975) * math.sqrt(variance))
