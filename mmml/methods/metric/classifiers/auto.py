"""``method/classifier=auto``: the other classifiers, weighted by how well each predicts support
items that it was not shown.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.errors import require
from mmml.methods.metric.classifiers.base import (
    Anchored,
    classifiers,
    on_vectors,
    shared_evenly,
)
from mmml.similarity.distances import Distance
from mmml.tasks.classification import total_by_label

Rung = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Support items, their labels and queries → log-probabilities of classes, ``[B, q, ways]``."""

TEMPERATURES = tuple(2.0**p for p in range(-4, 5))
"""Divisors of log-probabilities, so that classifiers are compared by what they predict, and not by
how confident they are.
"""


@classifiers.register("auto")
@on_vectors
class Auto(Anchored):
    """A mixture of classifiers, weighted by cross-validation within the support set, shared evenly
    within a class.

    Every fold holds out the same number of items of each class. A classifier's error is the mean
    negative log-likelihood of the held-out labels at the best of :data:`TEMPERATURES`; its weight
    is the likelihood ``exp(−n · error)`` of all n labels (pseudo-BMA, Yao et al., 2018). Queries
    have no influence. If a class has a single item, none can be held out: the first classifier that
    can be used predicts alone.

    Args:
        anchor: see :class:`Anchored`; without anchors, classifiers that need them are left out.
        among: name and options of each classifier, without ``anchor``.
        folds: the largest number of folds, at least 2; the smallest class may allow fewer.
    """

    needs_anchors = False

    def __init__(self, anchor: str, among: list[dict[str, Any]], folds: int):
        super().__init__(anchor)
        require(folds >= 2, "method.classifier.folds", folds, "a whole number above 1")
        where = "method.classifier.among"
        self.parts = [
            classifiers.build_section(section, f"{where}.{i}", anchor=anchor)
            for i, section in enumerate(among)
        ]
        require(
            not all(isinstance(p, Anchored) and p.needs_anchors for p in self.parts),
            where,
            among,
            f"a list with a classifier that does not need {anchor}",
        )
        self.folds = folds

    def __call__(
        self,
        distance: Distance,
        support: Tensor,
        labels: Tensor,
        query: Tensor,
        temperature: Tensor,
        anchors: Tensor | None,
    ) -> Tensor:
        if not bool((labels == labels[:1]).all()):  # each episode has folds of its own
            each = [
                self(distance, s, y, q, temperature, a)
                for s, y, q, a in zip(
                    support.split(1),
                    labels.split(1),
                    query.split(1),
                    [None] * len(labels) if anchors is None else anchors.split(1),
                    strict=True,
                )
            ]
            return torch.cat(each)
        rungs = [
            _rung(part, distance, temperature, anchors)
            for part in self.parts
            if anchors is not None or not (isinstance(part, Anchored) and part.needs_anchors)
        ]
        members = F.one_hot(labels[0])  # [s, ways]
        folds = min(self.folds, int(members.sum(0).min()))
        if folds < 2:
            return shared_evenly(rungs[0](support, labels, query), labels)
        fold = ((members.cumsum(0) * members).sum(-1) - 1) % folds  # by the rank within its class
        scales = support.new_tensor(TEMPERATURES)
        # [rungs, temperatures, B]
        errors = torch.stack(
            [_errors(_held_out(rung, support, labels, fold), labels, scales) for rung in rungs]
        )
        least, best = errors.min(1)
        weights = (-labels.shape[-1] * least).log_softmax(0)  # [rungs, B]
        mixed = [
            weight[:, None, None]
            + (rung(support, labels, query) / scales[at, None, None]).log_softmax(-1)
            for rung, weight, at in zip(rungs, weights, best, strict=True)
        ]
        return shared_evenly(torch.stack(mixed).logsumexp(0), labels)


def _rung(
    classifier: Callable[..., Tensor],
    distance: Distance,
    temperature: Tensor,
    anchors: Tensor | None,
) -> Rung:
    """Return a classifier that gives log-probabilities of classes instead of weights of items."""
    extra = (anchors,) if isinstance(classifier, Anchored) else ()

    def rung(support: Tensor, labels: Tensor, query: Tensor) -> Tensor:
        weights = classifier(distance, support, labels, query, temperature, *extra)
        return total_by_label(weights, labels)

    return rung


def _held_out(rung: Rung, support: Tensor, labels: Tensor, fold: Tensor) -> Tensor:
    """Return the log-probabilities ``[B, s, ways]`` of each support item, predicted from the items
    of the other folds; ``fold`` is ``[s]``.
    """
    parts, order = [], []
    for number in range(int(fold.max()) + 1):
        test, train = (fold == number).nonzero()[:, 0], (fold != number).nonzero()[:, 0]
        parts.append(rung(support[:, train], labels[:, train], support[:, test]))
        order.append(test)
    return torch.cat(parts, dim=1)[:, torch.cat(order).argsort()]


def _errors(logs: Tensor, labels: Tensor, scales: Tensor) -> Tensor:
    """Return the mean negative log-likelihood of labels ``[B, s]`` at each temperature:
    ``[temperatures, B]``.
    """
    floor = torch.finfo(logs.dtype).min / 1e6
    scaled = (logs.clamp_min(floor) / scales[:, None, None, None]).log_softmax(-1)
    right = scaled.gather(-1, labels.expand(len(scales), *labels.shape).unsqueeze(-1))
    return -right.squeeze(-1).mean(-1)
