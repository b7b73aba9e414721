"""Retrieval: at what rank among all candidates does the right one come?

Played by the evaluation across modalities; not to be chosen as ``task=`` yet.
"""

import torch
from torch import Tensor

from mmml.episodes import Examples
from mmml.tasks.base import Metric, Task

RECALLS = {k: Metric(f"R@{k}") for k in (1, 5, 10)}
MEDIAN_RANK = Metric("median rank", percent=False, higher_is_better=False, median=True)


class Retrieval(Task):
    """The support set is the gallery; predictions are how well each candidate fits, ``[B, q, s]``."""

    name = "retrieval"
    metrics = (*RECALLS.values(), MEDIAN_RANK)
    is_ranking = True

    def combine(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """The weights are the ranking."""
        return log_weights

    def outputs(self, support: Examples) -> int:
        raise NotImplementedError("retrieval compares embeddings and has no head")

    def read(self, outputs: Tensor) -> Tensor:
        raise NotImplementedError("retrieval compares embeddings and has no head")

    def first_head(self, embedded: Tensor, targets: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        raise NotImplementedError("retrieval compares embeddings and has no head")

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        return -predictions.gather(-1, targets.unsqueeze(-1)).squeeze(-1).mean(-1)

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[Metric, Tensor]:
        """Recall at 1, 5 and 10, and the rank itself (from 1); the right candidate is number ``targets``.

        Candidates that tie share the mean of their ranks, so a collapsed embedding scores as chance does.
        """
        right = predictions.gather(-1, targets.unsqueeze(-1))
        better = (~(predictions <= right)).sum(-1)  # so that NaN ranks last
        tied = ((predictions == right).sum(-1) - 1).clamp_min(0)
        rank = 1 + better + tied / 2
        return {**{m: (rank <= k).float() for k, m in RECALLS.items()}, MEDIAN_RANK: rank.to(torch.float32)}

    def chance(self, ways: int) -> dict[Metric, float]:
        return {**{m: min(1.0, k / ways) for k, m in RECALLS.items()}, MEDIAN_RANK: (ways + 1) / 2}
