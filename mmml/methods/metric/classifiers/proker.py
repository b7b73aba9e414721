"""``method/classifier=proker``: kernel ridge regression that starts from the names of the
classes.
"""

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
from mmml.methods.metric.classifiers.ridge import fit
from mmml.similarity.distances import Distance


@classifiers.register("proker")
@on_vectors
class ProKeR(Anchored):
    """Softmax over ``f(q) = p(q) + k(q, S) (K + λI)⁻¹ (Y − p(S))``, shared evenly within a class
    (ProKeR, Bendou et al., 2025).

    p are the probabilities by the anchors, Y the one-hot labels, and ``k = exp(−beta · d)``: f is
    the function nearest to p, by the norm of the kernel, that fits the examples. λ is chosen for
    each episode by leave-one-out on the support set, see :func:`fit`. ``temperature`` divides f,
    too.

    Args:
        anchor: see :class:`Anchored`.
        beta: how fast the kernel falls with distance; positive.
    """

    def __init__(self, anchor: str, beta: float):
        super().__init__(anchor)
        require(beta > 0, "method.classifier.beta", beta, "a positive number")
        self.beta = beta

    def __call__(
        self,
        distance: Distance,
        support: Tensor,
        labels: Tensor,
        query: Tensor,
        temperature: Tensor,
        anchors: Tensor,
    ) -> Tensor:
        prior, own = (
            by_anchors(distance, items, anchors, temperature).exp() for items in (query, support)
        )
        kernel, across = (
            (-self.beta * distance(items, support)).exp() for items in (support, query)
        )
        members = F.one_hot(labels).to(own.dtype)
        scores = prior + across @ fit(kernel, members - own, members, intercept=False)
        return shared_evenly((scores / temperature).log_softmax(-1), labels)
