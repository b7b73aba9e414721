"""Distances between items of many parts, computed for a few pairs of items at a time."""

import torch
from torch import Tensor

from mmml.similarity.distances import Distance

CELLS = 2**21  # numbers computed at a time; it does not change the result


def in_chunks(distance: Distance, query: Tensor, support: Tensor, cells: int) -> Tensor:
    """Return a distance, ``[..., q, s]``, computed for some episodes and queries at a time to save
    memory.

    Args:
        distance: ``[B, q, d], [B, s, d]`` → ``[B, q, s]``.
        query: ``[..., q, d]``.
        support: ``[..., s, d]``.
        cells: how many numbers the distance of one pair needs.
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
    """Return the distances between each part of each query and each part of each support item.

    Args:
        distance: ``[B, q, d], [B, s, d]`` → ``[B, q, s]``.
        query: ``[B, q, n, d]``, n parts each.
        support: ``[B, s, m, d]``, m parts each.

    Returns:
        ``[B, q, n, s, m]``.
    """
    found = distance(query.flatten(1, 2), support.flatten(1, 2))
    return found.unflatten(2, support.shape[1:3]).unflatten(1, query.shape[1:3])
