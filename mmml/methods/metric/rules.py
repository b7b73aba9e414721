"""Rules: how distances become log-weights on the support items, ``[B, q, s]``, summing to 1 over s."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from mmml.registry import Registry
from mmml.similarity.distances import Distance
from mmml.similarity.losses import class_means

rules = Registry("rule", "mmml.methods.metric")

R = TypeVar("R", bound=Callable[..., Any])


class Rule(Protocol):
    """What a rule looks like.

    Its support items are fused, one embedding for all modalities of a sample, unless it is
    marked as :func:`side_by_side`.
    """

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


def side_by_side(rule: R) -> R:
    """Decorator: the support modalities are items of their own, so a class name is one more shot."""
    rule.fuses = False  # type: ignore[attr-defined]
    return rule


def on_vectors(rule: R) -> R:
    """Decorator: the rule computes with embeddings, and does not just compare them by the distance."""
    rule.needs_vectors = True  # type: ignore[attr-defined]
    return rule


def needs_vectors(name: str, where: str) -> bool:
    """Whether the rule of that name computes with embeddings; ``where`` is the option that named it."""
    return getattr(rules.get(name, where), "needs_vectors", False)


def fuses(name: str, where: str) -> bool:
    """Whether the rule of that name wants support modalities fused; ``where`` is the option that named it."""
    return getattr(rules.get(name, where), "fuses", True)


@rules.register("prototype")
@on_vectors
def prototype(distance: Distance, support: Tensor, slots: Tensor, query: Tensor, temperature: Tensor) -> Tensor:
    """Softmax over distances to class means (Snell, Swersky and Zemel, 2017), shared evenly within a class."""
    by_class = (-distance(query, class_means(support, slots)) / temperature).log_softmax(-1)
    return shared_evenly(by_class, slots)


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


@rules.register("attention")
@side_by_side
def attention(distance: Distance, support: Tensor, slots: Tensor, query: Tensor, temperature: Tensor) -> Tensor:
    """Softmax over the distances to all support items (matching networks, Vinyals et al., 2016, equation 1).

    A class name on the support side is a shot beside the images, as in a key-value cache
    (Tip-Adapter, Zhang et al., 2022). With the cosine distance d = 1 − cos, an item's weight is
    the affinity exp(−β·d) of that paper at β = 1 / temperature; but the affinities are
    normalised over the support set, so that they are probabilities, and the names stand among
    the keys, where Tip-Adapter adds their zero-shot logits (times 1 / α) to the votes.
    """
    return (-distance(query, support) / temperature).log_softmax(-1)


def shared_evenly(by_class: Tensor, slots: Tensor) -> Tensor:
    """Log-probabilities of classes ``[B, q, ways]``, each shared by the class's items: ``[B, q, s]``."""
    shots = torch.nn.functional.one_hot(slots).sum(-2)  # [B, ways]
    by_item = by_class - shots.log().unsqueeze(-2)
    return by_item.gather(-1, slots.unsqueeze(-2).expand(*by_class.shape[:-1], -1))
