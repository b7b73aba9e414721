"""Classifiers turn distances into log-weights of support items, ``[B, q, s]``, whose exponentials
sum to 1 over s.
"""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor

from mmml.registry import Registry
from mmml.similarity.distances import Distance, at_least_float32, cosine, unit

classifiers = Registry("classifier", "mmml.methods.metric.classifiers", functions=True)

C = TypeVar("C", bound=Callable[..., Any])


class Classifier(Protocol):
    """The signature of a classifier.

    Support items are fused (one embedding for all modalities of a sample), unless the classifier is
    marked as :func:`side_by_side`.
    """

    def __call__(
        self,
        distance: Distance,
        support: Tensor,
        labels: Tensor,
        query: Tensor,
        temperature: Tensor,
    ) -> Tensor:
        """Return the log-weights, ``[B, q, s]``.

        Args:
            distance: one of :mod:`mmml.similarity.distances`.
            support: embeddings ``[B, s, d]``.
            labels: the label of each support item, ``[B, s]``.
            query: embeddings ``[B, q, d]``.
            temperature: divides distances before the softmax.
        """
        ...


def side_by_side(classifier: C) -> C:
    """Decorator: the modalities of a support sample are separate items, so that a class name is one
    more shot.
    """
    classifier.fuses = False  # type: ignore[attr-defined]
    return classifier


def on_vectors(classifier: C) -> C:
    """Decorator: the classifier computes with the embeddings themselves, and not only with
    distances.
    """
    classifier.needs_vectors = True  # type: ignore[attr-defined]
    return classifier


class Anchored:
    """A classifier that also reads an embedding of each class, its anchor, such as that of its
    name.

    The learner passes the anchors as a last argument, ``[B, ways, d]``: the mean embedding of each
    class in the support modality ``anchor``. The support items are those of the other modalities,
    or the anchors if there are no others.

    Class attributes:
        needs_anchors: whether the anchors are required; otherwise the argument is None if the
            support set lacks the modality.

    Args:
        anchor: a modality, such as ``text``.
    """

    needs_anchors: ClassVar[bool] = True

    def __init__(self, anchor: str):
        self.anchor = anchor


def by_anchors(distance: Distance, items: Tensor, anchors: Tensor, temperature: Tensor) -> Tensor:
    """The log-probability of each class by the distances from items to the anchors:
    ``[B, n, d], [B, ways, d]`` → ``[B, n, ways]``.
    """
    return (-distance(items, anchors) / temperature).log_softmax(-1)


def needs_vectors(name: str, where: str) -> bool:
    """Whether the named classifier computes with embeddings; ``where`` is the option with its
    name.
    """
    return getattr(classifiers.get(name, where), "needs_vectors", False)


def fuses(name: str, where: str) -> bool:
    """Whether the named classifier needs fused support modalities; ``where`` is the option with its
    name.
    """
    return getattr(classifiers.get(name, where), "fuses", True)


def ignores_length(distance: Distance) -> bool:
    """Whether a distance, bare or bound to options, is the cosine."""
    return getattr(distance, "func", distance) is cosine


def scaled(distance: Distance, *embeddings: Tensor) -> Iterator[Tensor]:
    """Embeddings ``[..., d]`` for a linear classifier: at length 1 if the distance is the cosine,
    else as they are.
    """
    return (unit(e) if ignores_length(distance) else at_least_float32(e) for e in embeddings)


def shared_evenly(by_class: Tensor, labels: Tensor) -> Tensor:
    """Divide the probability of each class evenly among its items: log-probabilities
    ``[B, q, ways]`` → log-weights ``[B, q, s]``.
    """
    shots = torch.nn.functional.one_hot(labels).sum(-2)  # [B, ways]
    per_item = by_class - shots.log().unsqueeze(-2)
    return per_item.gather(-1, labels.unsqueeze(-2).expand(*by_class.shape[:-1], -1))
