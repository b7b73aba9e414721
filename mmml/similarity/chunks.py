"""Distances between long items, computed for a few pairs at a time."""

import torch
from torch import Tensor

from mmml.similarity.distances import Distance

CELLS = 2**21  # numbers computed at a time; of no influence on the result


def in_chunks(distance: Distance, query: Tensor, support: Tensor, cells: int) -> Tensor:
    """Compute a distance for some episodes and queries at a time, to save memory.

    Args:
        distance: ``[B, q, d], [B, s, d]`` → ``[B, q, s]``.
        query: ``[..., q, d]``.
        support: ``[..., s, d]``.
        cells: numbers that one pair needs.
    """
    lead, (q, s) = query.shape[:-2], (query.shape[-2], support.shape[-2])
    queries = max(1, CELLS // (s * cells))
    episodes = max(1, CELLS // (q * s * cells))
    rows = [
        torch.cat(
            [distance(part, some_support) for part in some_query.split(queries, dim=1)], dim=1
        )
        for some_query, some_support in zip(
            query.reshape(-1, q, query.shape[-1]).split(episodes),
            support.reshape(-1, s, support.shape[-1]).split(episodes),
            strict=True,
        )
    ]
    return torch.cat(rows).view(*lead, q, s)


def between_parts(distance: Distance, query: Tensor, support: Tensor) -> Tensor:
    """Distances of every part of every query to every part of every support item.

    Args:
        distance: ``[B, q, d], [B, s, d]`` → ``[B, q, s]``.
        query: ``[B, q, n, d]``, of n parts each.
        support: ``[B, s, m, d]``, of m.

    Returns:
        ``[B, q, n, s, m]``.
    """
    found = distance(query.flatten(1, 2), support.flatten(1, 2))
    return found.unflatten(2, support.shape[1:3]).unflatten(1, query.shape[1:3])
