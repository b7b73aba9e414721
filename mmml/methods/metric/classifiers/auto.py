"""``method/classifier=auto``: the other classifiers, weighted by how well each predicts support
items that it was not shown.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.errors import require
from mmml.methods.metric.classifiers.base import (
    anchored_if_shown,
    classifiers,
    is_anchored,
    needs_anchors,
    on_vectors,
    shared_evenly,
)
from mmml.similarity.distances import Distance

Fitted = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Support items, their labels and queries → log-probabilities by class, ``[B, q, ways]``."""

AMONG = ["proker", "tip_adapter", "ridge", "lda", "logistic", "prototype"]

TEMPERATURES = tuple(2.0**p for p in range(-4, 5))
"""By which log-probabilities are divided, so that classifiers are compared by what they predict,
and not by how sure they say they are.
"""


@classifiers.register("auto")
@anchored_if_shown
@on_vectors
class Auto:
    """A mixture of classifiers, weighted by cross-validation within the support set, shared evenly
    within a class.

    Every fold holds out the same number of items of each class. A classifier's error is the mean
    negative log-likelihood of the held-out labels at the best of :data:`TEMPERATURES`; its weight
    is the likelihood ``exp(−n · error)`` of all n labels (pseudo-BMA, Yao et al., 2018). Queries
    have no influence. Where a class has a single item, nothing can be held out: the first
    classifier that can be used predicts alone.

    Args:
        anchor: see :func:`anchored_if_shown`; classifiers that need anchors are left out where
            there are none.
        among: the names of the classifiers, which have their default options.
        folds: at most so many, and at most the items of the smallest class; at least 2.
    """

    def __init__(self, anchor: str = "text", among: list[str] | None = None, folds: int = 5):
        require(folds >= 2, "method.classifier.folds", folds, "a whole number above 1")
        names = AMONG if among is None else among
        where = "method.classifier.among"
        free = [n for n in names if not needs_anchors(n, where)]
        require(bool(free), where, names, f"a list with a classifier that does without {anchor}")
        self.anchor, self.folds = anchor, folds
        self.parts = {n: classifiers.build(n, {}, where) for n in names}

    def __call__(
        self,
        distance: Distance,
        support: Tensor,
        labels: Tensor,
        query: Tensor,
        temperature: Tensor,
        anchors: Tensor | None,
    ) -> Tensor:
        rungs = [
            _by_class(part, distance, temperature, anchors if is_anchored(name, name) else None)
            for name, part in self.parts.items()
            if anchors is not None or not needs_anchors(name, name)
        ]
        folds = min(self.folds, int(F.one_hot(labels).sum(-2).min()))
        if folds < 2:
            return shared_evenly(rungs[0](support, labels, query), labels)
        scales = support.new_tensor(TEMPERATURES)
        held_out = [_held_out(rung, support, labels, folds) for rung in rungs]
        # [rungs, temperatures, B]
        errors = torch.stack([_errors(logs, labels, scales) for logs in held_out])
        least, best = errors.min(1)
        weights = (-labels.shape[-1] * least).log_softmax(0)  # [rungs, B]
        mixed = [
            weight[:, None, None]
            + (rung(support, labels, query) / scales[at, None, None]).log_softmax(-1)
            for rung, weight, at in zip(rungs, weights, best, strict=True)
        ]
        return shared_evenly(torch.stack(mixed).logsumexp(0), labels)


def _by_class(
    classifier: Callable[..., Tensor],
    distance: Distance,
    temperature: Tensor,
    anchors: Tensor | None,
) -> Fitted:
    """A classifier whose weights of items are added up by class."""
    extra = () if anchors is None else (anchors,)

    def fitted(support: Tensor, labels: Tensor, query: Tensor) -> Tensor:
        logs = classifier(distance, support, labels, query, temperature, *extra)
        members = F.one_hot(labels).bool().unsqueeze(-3)  # [B, 1, s, ways]
        return logs.unsqueeze(-1).where(members, -torch.inf).logsumexp(-2)

    return fitted


def _held_out(rung: Fitted, support: Tensor, labels: Tensor, folds: int) -> Tensor:
    """The log-probabilities ``[B, s, ways]`` of every support item by the items of other folds."""
    members = F.one_hot(labels)
    fold = (
        (members.cumsum(-2) * members).sum(-1) - 1
    ) % folds  # [B, s]: how many of its class before
    found = support.new_empty(*labels.shape, members.shape[-1])
    for number in range(folds):
        out = fold == number
        if not bool((out == out[:1]).all()):  # classes of different sizes: one episode at a time
            parts = [
                _held_out(rung, support[i : i + 1], labels[i : i + 1], folds)
                for i in range(len(labels))
            ]
            return torch.cat(parts)
        test, train = out[0].nonzero().squeeze(-1), (~out[0]).nonzero().squeeze(-1)
        found[:, test] = rung(support[:, train], labels[:, train], support[:, test])
    return found


def _errors(logs: Tensor, labels: Tensor, scales: Tensor) -> Tensor:
    """The mean negative log-likelihood of labels ``[B, s]`` at each temperature:
    ``[temperatures, B]``.
    """
    floor = torch.finfo(logs.dtype).min / 1e6
    scaled = (logs.clamp_min(floor) / scales[:, None, None, None]).log_softmax(-1)
    right = scaled.gather(-1, labels.expand(len(scales), *labels.shape).unsqueeze(-1))
    return -right.squeeze(-1).mean(-1)
