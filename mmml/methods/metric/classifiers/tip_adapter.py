"""``method/classifier=tip_adapter``: the names of the classes, corrected by a cache of examples."""

import torch.nn.functional as F
from torch import Tensor

from mmml.errors import require
from mmml.methods.metric.classifiers.base import (
    Anchored,
    by_anchors,
    classifiers,
    on_vectors,
    shared_evenly,
)
from mmml.similarity.distances import Distance


@classifiers.register("tip_adapter")
@on_vectors
class TipAdapter(Anchored):
    """The training-free Tip-Adapter (Zhang et al., 2022, equation 6), shared evenly within a class.

    The logit of a class is ``−d(q, anchor) / temperature + alpha · Σ exp(−beta · d(q, s))`` over
    its support items s. With the cosine distance and a temperature of 0.01 this is the published
    one.

    Args:
        anchor: see :class:`Anchored`.
        alpha: the weight of the examples; at least 0.
        beta: how fast their influence falls with distance; positive.
    """

    def __init__(self, anchor: str, alpha: float, beta: float):
        super().__init__(anchor)
        require(alpha >= 0, "method.classifier.alpha", alpha, "0 or a positive number")
        require(beta > 0, "method.classifier.beta", beta, "a positive number")
        self.alpha, self.beta = alpha, beta

    def __call__(
        self,
        distance: Distance,
        support: Tensor,
        labels: Tensor,
        query: Tensor,
        temperature: Tensor,
        anchors: Tensor,
    ) -> Tensor:
        affinity = (-self.beta * distance(query, support)).exp()
        cache = affinity @ F.one_hot(labels).to(affinity.dtype)
        logits = by_anchors(distance, query, anchors, temperature) + self.alpha * cache
        return shared_evenly(logits.log_softmax(-1), labels)
