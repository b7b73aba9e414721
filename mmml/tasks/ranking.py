"""Ranking in a gallery of all classes: what is the rank of the right one?

The evaluator ``gallery`` plays it across modalities, without a support set; ``task=retrieval``
learns from pairs.
"""

from typing import ClassVar

from torch import Tensor

from mmml.episodes import EpisodeShape
from mmml.tasks.base import Metric, Task

RECALLS = {k: Metric(f"R@{k}", share=True) for k in (1, 5, 10)}
MEDIAN_RANK = Metric("median rank", percent=False, higher_is_better=False, median=True)


class Ranking(Task):
    """The support set is the gallery; predictions are how well each candidate fits,
    ``[B, q, s]``.
    """

    name = "gallery"
    form: ClassVar[str] = "ranking"
    metrics = (*RECALLS.values(), MEDIAN_RANK)

    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """The weights are the ranking."""
        return log_weights

    def numbers(self, predictions: Tensor) -> Tensor:
        return predictions.exp()

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        return -predictions.gather(-1, targets.unsqueeze(-1)).squeeze(-1).mean(-1)

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[Metric, Tensor]:
        """Recall at 1, 5 and 10, and the rank itself (from 1); the right candidate is
        number ``targets``.

        Candidates that tie share their ranks, so a collapsed embedding scores as chance does.
        """
        return rank_scores(predictions, targets)

    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        return chance_among_candidates(shape.ways)


def rank_scores(fits: Tensor, right: Tensor) -> dict[Metric, Tensor]:
    """Recall at 1, 5 and 10 and the rank (from 1) of the right candidate, ``[…, q]`` each.

    In expectation over the order of candidates that tie: with b that fit better and t others
    that fit as well, the right one has each of the ranks from b + 1 to b + t + 1 equally often.
    Where its fit is NaN, it is never found, and last.

    Args:
        fits: how well each candidate fits, ``[…, q, s]``.
        right: the number of the right candidate, ``[…, q]``.
    """
    true = fits.gather(-1, right.unsqueeze(-1))
    better, tied = (~(fits <= true)).sum(-1), ((fits == true).sum(-1) - 1).clamp_min(0)
    found = ~true.squeeze(-1).isnan()
    recalls = {m: ((k - better) / (tied + 1)).clamp(0, 1) * found for k, m in RECALLS.items()}
    return {**recalls, MEDIAN_RANK: 1 + better + tied / 2}


def chance_among_candidates(candidates: int) -> dict[Metric, float]:
    """The expected scores of a random order of candidates."""
    return {
        **{m: min(1.0, k / candidates) for k, m in RECALLS.items()},
        MEDIAN_RANK: (candidates + 1) / 2,
    }
