"""``loss=triplet``: items of the same class should be nearer than items of other classes."""

import math

from torch import Tensor

from mmml.similarity.distances import Distance
from mmml.similarity.losses import MarginLoss, losses, same_class


@losses.register("triplet")
class Triplet(MarginLoss):
    """The triplet loss: the mean of ``max(0, d(q, p) − d(q, n) + m)`` for a query q, a support item
    p of its class and a support item n of another class.

    Schroff, Kalenichenko and Philbin (2015), equation 1, with any distance.

    Args:
        margin: m, in the units of the distance.
        hard_mining: whether only the farthest p and the nearest n of each query count (Hermans,
            Beyer and Leibe, 2017, equation 5); else the mean is over all triplets that violate the
            margin.
    """

    def __init__(self, margin: float, hard_mining: bool):
        super().__init__(margin)
        self.hard_mining = hard_mining

    def forward(
        self,
        distance: Distance,
        support: Tensor,
        support_labels: Tensor,
        query: Tensor,
        query_labels: Tensor,
    ) -> Tensor:
        d, same = distance(query, support), same_class(query_labels, support_labels)
        if self.hard_mining:
            positive = d.masked_fill(~same, -math.inf).amax(-1)
            negative = d.masked_fill(same, math.inf).amin(-1)
            return (positive - negative + self.margin).clamp_min(0).mean()
        violations = (d.unsqueeze(-1) - d.unsqueeze(-2) + self.margin).clamp_min(0)  # [B, q, p, n]
        violations = violations * (same.unsqueeze(-1) & ~same.unsqueeze(-2))
        return violations.sum() / (violations > 0).sum().clamp_min(1)
