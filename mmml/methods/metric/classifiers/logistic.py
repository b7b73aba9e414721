"""``method/classifier=logistic``: multinomial logistic regression, fitted to each support set."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.errors import require
from mmml.methods.metric.classifiers.base import classifiers, on_vectors, scaled, shared_evenly
from mmml.similarity.distances import Distance

TOLERANCE = 1e-8  # of the objective, by the decrease that a Newton step promises
MOST_STEPS = 1000


@classifiers.register("logistic")
@on_vectors
class Logistic:
    """The probabilities of a logistic regression, shared evenly within a class.

    It minimises ``c · Σ −log p(label) + ½ ‖W‖²`` with a free intercept, as scikit-learn does, on
    embeddings of length 1 under the cosine distance (Tian et al., 2020), else as they are.
    ``temperature`` is not used.

    Args:
        c: the weight of the examples against the penalty; positive.
    """

    def __init__(self, c: float):
        require(c > 0, "method.classifier.c", c, "a positive number")
        self.c = c

    def __call__(
        self,
        distance: Distance,
        support: Tensor,
        labels: Tensor,
        query: Tensor,
        temperature: Tensor,
    ) -> Tensor:
        support, query = scaled(distance, support, query)
        weight, intercept = fit_logistic(support, F.one_hot(labels), self.c)
        return shared_evenly((query @ weight + intercept).log_softmax(-1), labels)


def fit_logistic(items: Tensor, members: Tensor, c: float) -> tuple[Tensor, Tensor]:
    """The weights ``[B, d, ways]`` and the intercepts ``[B, 1, ways]`` of the minimum.

    The weights are combinations of the items, so n coordinates serve for d. The Hessian of the
    log-likelihood is at most ``½ XᵀX`` for every class (Böhning, 1992), whatever the weights:
    a step with this bound never overshoots, and one factorisation serves for all steps. Nesterov's
    momentum, restarted where it would climb (O'Donoghue and Candès, 2015), speeds them up.

    Args:
        items: ``[B, n, d]``.
        members: their labels, one-hot, ``[B, n, ways]``.
        c: see :class:`Logistic`.
    """
    # Items in n coordinates with the same inner products: X = Z Q, Q with orthonormal rows.
    basis, triangle = torch.linalg.qr(items.double().mT)  # [B, d, r], [B, r, n]
    x = torch.cat([triangle.mT, torch.ones_like(triangle[:, :1]).mT], dim=-1)  # with the intercept
    y = members.double()
    penalty = x.new_ones(x.shape[-1])
    penalty[-1] = 0
    bound = torch.linalg.cholesky(c / 2 * x.mT @ x + penalty.diag())
    theta = x.new_zeros(len(x), x.shape[-1], y.shape[-1])
    ahead, momentum = theta, torch.ones(len(x), 1, 1, dtype=x.dtype, device=x.device)
    for _ in range(MOST_STEPS):
        residual = (x @ ahead).softmax(-1) - y
        gradient = c * x.mT @ residual + penalty.unsqueeze(-1) * ahead
        step = torch.cholesky_solve(gradient, bound)
        promised = (gradient * step).sum((-2, -1), keepdim=True)
        if bool((promised < TOLERANCE).all()):
            break
        moved = ahead - step
        climbs = (gradient * (moved - theta)).sum((-2, -1), keepdim=True) > 0
        momentum = torch.where(climbs, 1.0, momentum)
        following = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
        factor = torch.where(climbs, 0.0, (momentum - 1) / following)
        ahead, theta, momentum = moved + factor * (moved - theta), moved, following
    weight = basis @ ahead[:, :-1]
    return weight.to(items.dtype), ahead[:, -1:].to(items.dtype)
