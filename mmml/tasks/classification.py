"""``task=classification``: which of the episode's classes is it?"""

import torch
from torch import Tensor

from mmml.tasks.base import Task, tasks


@tasks.register("classification")
class Classification(Task):
    """Predictions are log-probabilities of the label slots, ``[B, q, ways]``."""

    name = "classification"

    def combine(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """A vote: the weights of the support items, added up by class."""
        ways = int(support_targets.max()) + 1
        slots = torch.arange(ways, device=log_weights.device)
        members = support_targets.unsqueeze(-2) == slots.unsqueeze(-1)  # [B, ways, s]
        votes = log_weights.unsqueeze(-2).masked_fill(~members.unsqueeze(-3), -torch.inf)
        return votes.logsumexp(-1)

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """1 where the most probable slot is the right one. Ties go to the first slot: slots are shuffled."""
        return {"accuracy": (predictions.argmax(-1) == targets).float()}

    def chance(self, ways: int) -> dict[str, float]:
        return {"accuracy": 1 / ways}
