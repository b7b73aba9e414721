"""Temperatures: log-probabilities divided so that they can be believed; which class is first never changes."""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

COLDEST, HOTTEST = 1e-4, 1e4  # predictions that are never wrong ask for 0, those that say nothing for infinity
STEEPEST = 2.0
SURE = 0.1  # entropies below this, relative to the largest, are all alike
FLOOR = math.log(np.finfo(np.float32).tiny)  # a log-probability that float32 cannot tell from none


def rescale(log_probabilities: Tensor, temperature: float, slope: float = 0.0) -> Tensor:
    """Log-probabilities at another temperature, normalised: ``[…, ways]`` → the same, in float64.

    The temperature of a prediction is ``temperature · max(H, 0.1) ** slope``, where H is its
    entropy relative to the largest, from 0 to 1: it is constant for a slope of 0 (Guo et al.,
    2017), else it falls with how sure the prediction is (after Balanya, Maroñas and Ramos, 2022).
    """
    logits = log_probabilities.double().clamp_min(FLOOR)
    return (logits / (temperature * doubt(logits) ** slope).unsqueeze(-1)).log_softmax(-1)


def doubt(logits: Tensor) -> Tensor:
    """The entropy of each prediction relative to the largest, 0.1 if it is less: ``[…, ways]`` → ``[…]``."""
    logs = logits.log_softmax(-1)
    return (-(logs.exp() * logs).sum(-1) / math.log(max(2, logits.shape[-1]))).clamp(SURE, 1)


def fit_temperature(log_probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The temperature at which the right classes are most likely (Guo et al., 2017, section 4.2).

    The negative log-likelihood of ``softmax(log p / T)`` is convex in 1 / T: the root of its
    slope is found by Brent's method (1973) on log T, in float64.

    Args:
        log_probabilities: ``[n, ways]``; none (−inf) counts as the smallest of float32. What is NaN, of a task whose
            adaptation diverged, has no confidence, and is left out.
        targets: the right class of each, ``[n]``.

    Returns:
        From 0.0001 to 10,000, the bounds included; 1 if T makes no difference.
    """
    from scipy.optimize import brentq

    likelihood = _likelihood(log_probabilities, targets)

    def slope(log_temperature: float) -> float:
        return float(likelihood(log_temperature, 0.0)[1])

    low, high = math.log(COLDEST), math.log(HOTTEST)
    if slope(low) == slope(high) == 0:
        return 1.0
    if slope(low) >= 0:
        return COLDEST
    return HOTTEST if slope(high) <= 0 else math.exp(brentq(slope, low, high, xtol=1e-6))


def fit_rescaling(log_probabilities: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """The temperature and the slope of :func:`rescale` at which the right classes are most likely.

    Arguments as of :func:`fit_temperature`, from whose result, at slope 0, L-BFGS-B descends. If no prediction is
    wrong, the median one counts as wrong once.
    The slope is from 0 to 2: a sure prediction is never made less sure than a doubtful one.
    """
    from scipy.optimize import minimize

    known = ~np.isnan(log_probabilities).any(-1)
    if known.any() and (log_probabilities.argmax(-1) == targets)[known].all():
        log_probabilities, targets = with_one_wrong(log_probabilities[known], targets[known])
    likelihood = _likelihood(log_probabilities, targets)
    start = [math.log(fit_temperature(log_probabilities, targets)), 0.0]
    bounds = [(math.log(COLDEST), math.log(HOTTEST)), (0.0, STEEPEST)]

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, *gradient = likelihood(float(at[0]), float(at[1]))
        return value, np.array(gradient)

    log_temperature, slope = minimize(objective, start, jac=True, bounds=bounds).x
    return math.exp(log_temperature), float(slope)


def with_one_wrong(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictions ``[n, ways]`` and targets ``[n]``, and the median one once more with its runner-up as target.

    So right predictions alone never make certainty (the rule of succession, Laplace 1774).
    """
    sureness = np.exp(logits.max(-1))
    median = int(np.argsort(sureness, kind="stable")[len(sureness) // 2])
    runner_up = int(np.argsort(-logits[median], kind="stable")[1])
    return np.vstack([logits, logits[median : median + 1]]), np.append(targets, runner_up)


def _likelihood(
    log_probabilities: np.ndarray, targets: np.ndarray
) -> Callable[[float, float], tuple[float, float, float]]:
    """(log temperature, slope) → the mean negative log-likelihood, and its derivatives by the two."""
    known = ~np.isnan(log_probabilities).any(-1)
    logits = np.maximum(np.asarray(log_probabilities, np.float64)[known], FLOOR)
    if not len(logits):
        return lambda log_temperature, slope: (0.0, 0.0, 0.0)
    doubts = np.log(doubt(torch.from_numpy(logits)).numpy())
    logits = logits - logits.max(-1, keepdims=True)
    right = np.take_along_axis(logits, np.asarray(targets)[known, None], -1).squeeze(-1)

    def likelihood(log_temperature: float, slope: float) -> tuple[float, float, float]:
        inverse = np.exp(-log_temperature - slope * doubts)
        weights = np.exp(logits * inverse[:, None])
        total = weights.sum(-1)
        by_log_temperature = inverse * (right - (weights * logits).sum(-1) / total)
        value = np.log(total) - inverse * right
        return float(value.mean()), float(by_log_temperature.mean()), float((by_log_temperature * doubts).mean())

    return likelihood
