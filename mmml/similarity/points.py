"""Distances between sets of points."""

import torch
from torch import Tensor

from mmml.similarity.chunks import between_parts, in_chunks
from mmml.similarity.distances import at_least_float32, distances, euclidean, of_parts

AXES = 2  # numbers per point: items are [points × AXES], with NaN after the last point


@distances.register("modified_hausdorff")
@of_parts
def modified_hausdorff(query: Tensor, support: Tensor) -> Tensor:
    """The mean distance from each point to the nearest point of the other set, the larger one of
    both directions.

    Dubuisson and Jain (1994), distance 22 (f₂ of d₆); the baseline of Lake et al. (2015). Items are
    points in the plane, flattened, ``d`` = points × 2, with NaN in place of missing ones.
    """
    query, support = at_least_float32(query), at_least_float32(support)
    points = max(query.shape[-1], support.shape[-1]) // AXES
    return in_chunks(_sets, query, support, points * points)


def _without_gaps(x: Tensor) -> Tensor:
    """Remove positions that are NaN in all items."""
    present = ~x.isnan().flatten(0, -2).all(0)
    return x[..., present] if present.any() else x[..., :AXES]


def _sets(query: Tensor, support: Tensor) -> Tensor:
    (q, a), (s, b) = (_points(_without_gaps(x)) for x in (query, support))
    between = between_parts(euclidean, q, s)  # [B, q, points, s, points]
    # [B, q, s, points of q]
    present = between.masked_fill(~b[:, None, None], torch.inf).amin(4).transpose(2, 3)
    back = between.masked_fill(~a[:, :, :, None, None], torch.inf).amin(2)  # [B, q, s, points of s]
    return torch.maximum(_mean(present, a.unsqueeze(2)), _mean(back, b.unsqueeze(1)))


def _points(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return points ``[B, n, points, AXES]`` with 0 in place of NaN, and a mask ``[B, n, points]``,
    from items ``[B, n, d]``.
    """
    x = x.unflatten(-1, (-1, AXES))
    return x.nan_to_num(0), ~x[..., 0].isnan()


def _mean(x: Tensor, present: Tensor) -> Tensor:
    return x.masked_fill(~present, 0).sum(-1) / present.sum(-1)
