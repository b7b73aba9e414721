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
