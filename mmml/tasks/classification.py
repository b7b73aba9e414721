"""``task=classification``: predict the class of a query among the classes of the episode."""

import torch
from torch import Tensor

from mmml.episodes import EpisodeShape
from mmml.tasks.base import Metric, Task, tasks

ACCURACY = Metric("accuracy", share=True)
LOG_LOSS = Metric("log loss", percent=False, higher_is_better=False)


@tasks.register("classification")
class Classification(Task):
    """Predictions are log-probabilities of the labels, ``[B, q, ways]``."""

    name = "classification"
    metrics = (ACCURACY,)
    loss_metric = LOG_LOSS

    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        return total_by_label(log_weights, support_targets)

    def output_size(self, support_targets: Tensor) -> int:
        """One output for each class."""
        return int(support_targets.max()) + 1

    def decode(self, outputs: Tensor) -> Tensor:
        return outputs.log_softmax(-1)

    def numbers(self, predictions: Tensor) -> Tensor:
        """Return probabilities."""
        return predictions.exp()

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy."""
        return -predictions.gather(-1, targets.unsqueeze(-1)).squeeze(-1).mean(-1)

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[Metric, Tensor]:
        """Return 1 where the most probable label is right, else 0 (also for NaN).

        The first of equally probable labels counts, which is fair since labels are shuffled.
        """
        return {
            self.metrics[0]: (
                (predictions.argmax(-1) == targets) & ~predictions.isnan().any(-1)
            ).float()
        }

    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        return {self.metrics[0]: 1 / shape.ways}


def total_by_label(log_weights: Tensor, labels: Tensor) -> Tensor:
    """Return the log of the sum of the weights of each label's support items; −inf for a label
    without any weight: ``[B, q, s], [B, s]`` → ``[B, q, ways]``.
    """
    label = labels.unsqueeze(-2).expand_as(log_weights)
    none = log_weights.new_full((*log_weights.shape[:-1], int(labels.max()) + 1), -torch.inf)
    largest = none.scatter_reduce(-1, label, log_weights, "amax")
    largest = largest.masked_fill(largest == -torch.inf, 0)  # −inf − (−inf) would be NaN
    shares = (log_weights - largest.gather(-1, label)).exp()
    return largest + torch.zeros_like(largest).scatter_add(-1, label, shares).log()
