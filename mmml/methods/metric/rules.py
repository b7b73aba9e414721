"""Rules: how distances become log-weights on the support items, ``[B, q, s]``, summing to 1 over s."""

from typing import Protocol

import torch
from torch import Tensor

from mmml.registry import Registry
from mmml.similarity.distances import Distance
from mmml.similarity.losses import class_means

rules = Registry("rule", "mmml.methods.metric")


class Rule(Protocol):
    """What a rule looks like."""

    def __call__(
        self, distance: Distance, support: Tensor, slots: Tensor, query: Tensor, temperature: Tensor
    ) -> Tensor:
        """Compute the log-weights.

        Args:
            distance: one of :mod:`mmml.similarity.distances`.
            support: embeddings ``[B, s, d]``.
            slots: the class slot of each support item, ``[B, s]``.
            query: embeddings ``[B, q, d]``.
            temperature: what distances are divided by before the softmax.
        """
        ...


@rules.register("prototype")
def prototype(distance: Distance, support: Tensor, slots: Tensor, query: Tensor, temperature: Tensor) -> Tensor:
    """Softmax over distances to class means (Snell, Swersky and Zemel, 2017), shared evenly within a class."""
    by_class = (-distance(query, class_means(support, slots)) / temperature).log_softmax(-1)
    shots = torch.nn.functional.one_hot(slots).sum(-2)  # [B, ways]
    return _of_slots(by_class - shots.log().unsqueeze(-2), slots)


@rules.register("nearest")
def nearest_neighbour(distance: Distance, support: Tensor, slots: Tensor, query: Tensor, temperature: Tensor) -> Tensor:
    """Softmax over the nearest support item of each class; items that tie for it share its weight.

    The most probable class is that of the nearest neighbour (Cover and Hart, 1967).
    """
    logits = -distance(query, support) / temperature
    ways, slot = int(slots.max()) + 1, slots.unsqueeze(-2).expand_as(logits)
    best = logits.new_full((*logits.shape[:-1], ways), -torch.inf).scatter_reduce(-1, slot, logits, "amax")
    is_best = logits == best.gather(-1, slot)
    tied = torch.zeros_like(best).scatter_add(-1, slot, is_best.to(best.dtype)).gather(-1, slot)
    return (logits - best.logsumexp(-1, keepdim=True) - tied.log()).masked_fill(~is_best, -torch.inf)


def _of_slots(by_class: Tensor, slots: Tensor) -> Tensor:
    """Spread ``[B, q, ways]`` to the support items of each class: ``[B, q, s]``."""
    return by_class.gather(-1, slots.unsqueeze(-2).expand(*by_class.shape[:-1], -1))
