"""``task=regression``: predict a score for each query. The classes are the measured quantities."""

import math
from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor

from mmml.episodes import EpisodeShape
from mmml.errors import require
from mmml.tasks.base import Metric, tasks
from mmml.tasks.targets import ScoreTarget

MAE = Metric("MAE", percent=False, higher_is_better=False)
PEARSON = Metric("Pearson r", percent=False)
ABOVE = Metric("binary accuracy", share=True)
F1 = Metric("F1")
SQUARED_ERROR = Metric("squared error", percent=False, higher_is_better=False)


def median(targets: Tensor) -> Tensor:
    """Replace each score by the median of its episode: ``[B, s]`` → ``[B, s]``."""
    return targets.quantile(0.5, dim=1, keepdim=True).expand_as(targets)


@tasks.register("regression")
class Regression(ScoreTarget):
    """Regression of scores: predictions are scores, ``[B, q]``.

    Args:
        threshold: scores above it count as positive, for accuracy and F1; None leaves these metrics
            out.
    """

    name = "regression"
    metrics: ClassVar[tuple[Metric, ...]] = (MAE, PEARSON)
    loss_metric = SQUARED_ERROR
    # The mean is the constant with the least squared error, the median with the least absolute.
    constants: ClassVar[Mapping[str, Callable[[Tensor], Tensor]]] = {
        "mean": lambda t: t,
        "median": median,
    }

    def __init__(self, threshold: float | None = None):
        require(
            threshold is None or math.isfinite(threshold),
            "task.threshold",
            threshold,
            "a number, or null",
        )
        self.threshold = threshold

    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """Return the mean of the support scores, weighted by ``log_weights`` (Nadaraya 1964; Watson
        1964).
        """
        if log_weights.shape[-1] != support_targets.shape[-1]:
            raise ValueError(
                f"{log_weights.shape[-1]} weights for {support_targets.shape[-1]} scores"
            )
        return (log_weights.exp() * support_targets.unsqueeze(-2)).sum(-1)

    def output_size(self, support_targets: Tensor) -> int:
        return 1

    def decode(self, outputs: Tensor) -> Tensor:
        return outputs.squeeze(-1)

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the mean squared error."""
        return (predictions - targets).square().mean(-1)

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[Metric, Tensor]:
        """Return the absolute error of each prediction, ``[B, q]``, and the correlation of each
        episode, ``[B, 1]``; with a threshold also accuracy ``[B, q]`` and F1 ``[B, 1]``.
        """
        if predictions.shape != targets.shape:
            raise ValueError(
                f"predictions {list(predictions.shape)} for targets {list(targets.shape)}"
            )
        found = {
            MAE: (predictions - targets).abs(),
            PEARSON: pearson(predictions, targets).unsqueeze(-1),
        }
        if self.threshold is not None:
            true = targets > self.threshold
            # NaN counts as wrong.
            guessed = torch.where(predictions.isnan(), ~true, predictions > self.threshold)
            found |= {ABOVE: (guessed == true).float(), F1: f1(guessed, true).unsqueeze(-1)}
        return found

    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        """Return an empty dict: the expected score of guessing depends on the scores."""
        return {}


def pearson(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return Pearson's correlation of each episode, from −1 to 1: ``[B, q]`` twice → ``[B]``; 0 if
    either side is constant.

    Values count as constant if they differ by no more than rounding errors.
    """
    (x, same_x), (y, same_y) = map(standardised, (predictions, targets))
    return torch.where(same_x | same_y, 0, (x * y).sum(-1)).float()


def standardised(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return values minus their mean, scaled to length 1, float64 ``[B, q]``; and whether they are
    constant, bool ``[B]``.
    """
    rounding = 8 * torch.finfo(torch.promote_types(values.dtype, torch.float32)).eps
    largest = values.double().abs().amax(-1, keepdim=True)
    scaled = values.double() / largest.where(largest > 0, 1)  # so that squares do not underflow
    x = scaled - scaled.mean(-1, keepdim=True)
    constant = x.abs().amax(-1) <= rounding
    return x / x.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(torch.float64).tiny), constant


def f1(guessed: Tensor, true: Tensor) -> Tensor:
    """Return F1 of the positives (the harmonic mean of precision and recall): bool ``[B, q]`` twice
    → ``[B]``; 1 if there are no positives.
    """
    right, named = (guessed & true).sum(-1), guessed.sum(-1) + true.sum(-1)
    return torch.where(named > 0, 2 * right / named.clamp_min(1), 1.0)
