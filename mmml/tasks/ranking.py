"""Ranking in a gallery of all classes: the rank of the right class.

Used by the evaluator ``gallery`` across modalities, without a support set; ``task=retrieval``
learns from pairs.
"""

from typing import ClassVar

from torch import Tensor

from mmml.episodes import EpisodeShape
from mmml.tasks.base import Metric, Task

RECALLS = {k: Metric(f"R@{k}", share=True) for k in (1, 5, 10)}
MEDIAN_RANK = Metric("median rank", percent=False, higher_is_better=False, median=True)


class Ranking(Task):
    """The support set is the gallery; predictions are the fit of each candidate, ``[B, q, s]``."""

    name = "gallery"
    form: ClassVar[str] = "ranking"
    metrics = (*RECALLS.values(), MEDIAN_RANK)

    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """Return the weights, which are the fit of each candidate."""
        return log_weights

    def numbers(self, predictions: Tensor) -> Tensor:
        return predictions.exp()

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        return -predictions.gather(-1, targets.unsqueeze(-1)).squeeze(-1).mean(-1)

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[Metric, Tensor]:
        """Return recall at 1, 5 and 10, and the rank (from 1) of candidate number ``targets``.

        Tied candidates share their ranks, so that a collapsed embedding scores like chance.
        """
        return rank_scores(predictions, targets)

    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        return chance_among_candidates(shape.ways)


def rank_scores(fits: Tensor, right: Tensor) -> dict[Metric, Tensor]:
    """Return recall at 1, 5 and 10 and the rank (from 1) of the right candidate, ``[…, q]`` each.

    They are expected values over random orders of tied candidates: if b candidates fit better and t
    others fit equally, the right one has each rank from b + 1 to b + t + 1 with the same
    probability. If its fit is NaN, it has the last rank and recall 0.

    Args:
        fits: the fit of each candidate, ``[…, q, s]``.
        right: the number of the right candidate, ``[…, q]``.
    """
    true = fits.gather(-1, right.unsqueeze(-1))
    better, tied = (~(fits <= true)).sum(-1), ((fits == true).sum(-1) - 1).clamp_min(0)
    found = ~true.squeeze(-1).isnan()
    recalls = {m: ((k - better) / (tied + 1)).clamp(0, 1) * found for k, m in RECALLS.items()}
    return {**recalls, MEDIAN_RANK: 1 + better + tied / 2}


def chance_among_candidates(candidates: int) -> dict[Metric, float]:
    """Return the expected scores of a random order of candidates."""
    return {
        **{m: min(1.0, k / candidates) for k, m in RECALLS.items()},
        MEDIAN_RANK: (candidates + 1) / 2,
    }
