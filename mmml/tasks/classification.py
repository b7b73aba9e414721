"""``task=classification``: which of the episode's classes is it?"""

import torch
from torch import Tensor, nn

from mmml.tasks.base import Metric, Task, tasks

ACCURACY = Metric("accuracy")


@tasks.register("classification")
class Classification(Task):
    """Predictions are log-probabilities of the label slots, ``[B, q, ways]``."""

    name = "classification"
    metrics = (ACCURACY,)
    gives_probabilities = True

    def combine(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """A vote: the weights of the support items, added up by class; −inf for a class without any weight."""
        ways = int(support_targets.max()) + 1
        slot = support_targets.unsqueeze(-2).expand_as(log_weights)
        none = log_weights.new_full((*log_weights.shape[:-1], ways), -torch.inf)
        largest = none.scatter_reduce(-1, slot, log_weights, "amax")
        largest = largest.masked_fill(largest == -torch.inf, 0)  # −inf less −inf would be no number
        shares = (log_weights - largest.gather(-1, slot)).exp()
        return largest + torch.zeros_like(largest).scatter_add(-1, slot, shares).log()

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy."""
        return nn.functional.nll_loss(predictions.flatten(0, 1), targets.flatten())

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[Metric, Tensor]:
        """1 where the most probable slot is the right one. Ties go to the first slot: slots are shuffled."""
        return {ACCURACY: (predictions.argmax(-1) == targets).float()}

    def chance(self, ways: int) -> dict[Metric, float]:
        return {ACCURACY: 1 / ways}
