"""``task=retrieval``: at what rank among all candidates does the right one come?"""

import torch
from torch import Tensor

from mmml.tasks.base import Task, tasks

KS = (1, 5, 10)
RANK = "median rank"


@tasks.register("retrieval")
class Retrieval(Task):
    """The support set is the gallery; predictions are how well each candidate fits, ``[B, q, s]``."""

    name = "retrieval"
    is_ranking = True

    def combine(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """The weights are the ranking."""
        return log_weights

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Recall at 1, 5 and 10, and the rank itself (from 1); the right candidate is number ``targets``.

        Candidates that tie share the mean of their ranks, so a collapsed embedding scores as chance does.
        """
        right = predictions.gather(-1, targets.unsqueeze(-1))
        better = (predictions > right).sum(-1)
        tied = (predictions == right).sum(-1) - 1
        rank = 1 + better + tied / 2
        return {**{f"R@{k}": (rank <= k).float() for k in KS}, RANK: rank.to(torch.float32)}

    def chance(self, ways: int) -> dict[str, float]:
        return {**{f"R@{k}": min(1.0, k / ways) for k in KS}, RANK: (ways + 1) / 2}
