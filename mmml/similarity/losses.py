"""Losses of an embedding space, computed from distances between query and support items."""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from mmml.errors import require
from mmml.registry import Registry
from mmml.similarity.distances import Distance

losses = Registry("loss", "mmml.similarity")


class Loss(nn.Module, ABC):
    """Base class of losses over episodes. A loss has the temperature that turns distances into
    probabilities.
    """

    @property
    @abstractmethod
    def temperature(self) -> Tensor:
        """The divisor of distances before a softmax over them, a positive scalar."""

    @abstractmethod
    def forward(
        self,
        distance: Distance,
        support: Tensor,
        support_labels: Tensor,
        query: Tensor,
        query_labels: Tensor,
    ) -> Tensor:
        """Return the mean loss, a scalar.

        Args:
            distance: one of :mod:`mmml.similarity.distances`.
            support: embeddings ``[B, s, d]``.
            support_labels: their labels ``[B, s]``.
            query: embeddings ``[B, q, d]``.
            query_labels: their labels ``[B, q]``.
        """


class MarginLoss(Loss):
    """Base class: a loss that compares distances with a margin. Its temperature is 1.

    Args:
        margin: in the units of the distance; positive.
    """

    def __init__(self, margin: float):
        super().__init__()
        require(margin > 0, "method.loss.margin", margin, "a positive number")
        self.margin = margin
        self.register_buffer("_one", torch.ones(()), persistent=False)

    @property
    def temperature(self) -> Tensor:
        return self._one  # type: ignore[return-value]


@losses.register("contrastive")
class Contrastive(MarginLoss):
    """The contrastive loss of all (query, support) pairs of an episode: the mean of
    ``y·d + (1 − y)·max(0, m − d)``, where y is 1 for pairs of one class.

    Args:
        margin: m, in the units of the distance; pairs of different classes closer than this are
            pushed apart.
        squared: whether the loss is ``y·d² + (1 − y)·max(0, m − d)²`` instead (Hadsell, Chopra and
            LeCun, 2006, equation 4, without the factor ½).
    """

    def __init__(self, margin: float, squared: bool):
        super().__init__(margin)
        self.squared = squared

    def forward(
        self,
        distance: Distance,
        support: Tensor,
        support_labels: Tensor,
        query: Tensor,
        query_labels: Tensor,
    ) -> Tensor:
        return self.pairs(distance(query, support), same_class(query_labels, support_labels)).mean()

    def pairs(self, d: Tensor, same: Tensor) -> Tensor:
        """Return the loss of each pair, from distances and same-class flags of the same shape."""
        if d.shape != same.shape:
            raise ValueError(
                f"distances {list(d.shape)} and labels {list(same.shape)} must match pair by pair"
            )
        loss = torch.where(same, d, (self.margin - d).clamp_min(0))
        return loss.square() if self.squared else loss


class SoftmaxLoss(Loss):
    """Base class: a loss that compares distances by a softmax.

    Args:
        temperature: the divisor of distances; positive.
        learn_temperature: whether it is trained.
    """

    def __init__(self, temperature: float, learn_temperature: bool):
        super().__init__()
        require(
            0 < temperature < math.inf, "method.loss.temperature", temperature, "a positive number"
        )
        self.log_temperature = nn.Parameter(
            torch.tensor(math.log(temperature)), requires_grad=learn_temperature
        )

    @property
    def temperature(self) -> Tensor:
        return self.log_temperature.exp()


@losses.register("infonce")
class InfoNCE(SoftmaxLoss):
    """InfoNCE in both directions, as in CLIP (Radford et al., 2021), for one or more positives.

    For each query, the negative logarithm of the softmax probability of all support items of its
    class; for each support item, the same over the queries (van den Oord et al., 2018, equation 4;
    Khosla et al., 2020, equation 3, with the sum inside the logarithm). The loss is the mean of
    both directions.
    """

    def forward(
        self,
        distance: Distance,
        support: Tensor,
        support_labels: Tensor,
        query: Tensor,
        query_labels: Tensor,
    ) -> Tensor:
        logits = -distance(query, support) / self.temperature
        same = same_class(query_labels, support_labels)
        positives = logits.masked_fill(~same, -math.inf)
        directions = [logits.logsumexp(dim) - positives.logsumexp(dim) for dim in (-1, -2)]
        return (directions[0].mean() + directions[1].mean()) / 2


@losses.register("prototypical")
class Prototypical(SoftmaxLoss):
    """The cross-entropy of a softmax over distances to class means (Snell, Swersky and Zemel, 2017,
    equation 2).
    """

    def forward(
        self,
        distance: Distance,
        support: Tensor,
        support_labels: Tensor,
        query: Tensor,
        query_labels: Tensor,
    ) -> Tensor:
        logits = -distance(query, class_means(support, support_labels)) / self.temperature
        return nn.functional.cross_entropy(logits.flatten(0, -2), query_labels.flatten())


def same_class(query_labels: Tensor, support_labels: Tensor) -> Tensor:
    """Return whether each (query, support) pair has the same class:
    ``[B, q], [B, s] -> [B, q, s]``.
    """
    return query_labels.unsqueeze(-1) == support_labels.unsqueeze(-2)


def class_means(support: Tensor, labels: Tensor) -> Tensor:
    """Return the mean embedding of each label: ``[B, s, d], [B, s] -> [B, ways, d]``."""
    members = nn.functional.one_hot(labels).to(support.dtype)
    return members.transpose(-1, -2) @ support / members.sum(-2).unsqueeze(-1)
