"""Means and their uncertainty."""

import math

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
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
    variance is about k² ζ / n. ζ is estimated from the mean scores of the episodes that each class is in; as these
    share the other classes, they vary less by (n − k) / (n − 1) (the jackknife of Arvesen, 1969). To that is added what
    is left to the draw of episodes, which is taken out of the estimate of ζ.

    Args:
        scores: of the episodes, ``[E]``.
        classes: of each, ``[E, ways]``, drawn from all.

    Returns:
        Never less than :func:`interval`; None where n < 2 k, so that little is known of other classes, and where
        classes fall into sets that never meet, such as alphabets.
    """
    members, of = np.unique(classes, return_inverse=True)
    (episodes, ways), n, of = classes.shape, len(members), of.reshape(classes.shape)
    if n < 2 * ways or episodes < 2 or not np.isfinite(scores).all() or (ways > 1 and not _meet(of, n)):
        return None
    counts = np.bincount(of.ravel(), minlength=n)
    means = np.bincount(of.ravel(), np.repeat(scores, ways), minlength=n) / counts
    left, shared, noise = np.var(scores, ddof=1), (n - ways) / (n - 1), np.mean(1 / counts)
    # Var(means) = among + (left − among) · noise, where left holds a class's own part.
    among = max(0.0, np.var(means, ddof=1) - left * noise * shared) / max(1 - noise, 0.1) / shared**2
    variance = ways**2 * among / n + left / episodes
    return float(stdtrit(min(n, episodes) - 1, 0.975) * math.sqrt(variance))


def _meet(classes: np.ndarray, n: int) -> bool:
    """Whether any two of n classes are linked by episodes ``[E, ways]`` that share classes."""
    first, others = np.repeat(classes[:, 0], classes.shape[1]), classes.ravel()
    links = coo_array((np.ones(len(others)), (first, others)), shape=(n, n))
    return int(connected_components(links, directed=False, return_labels=False)) == 1
