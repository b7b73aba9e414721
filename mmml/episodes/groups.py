"""Episodes whose support and query sides share no group of near duplicates (``episode.by_group=true``)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mmml.datasets import Samples
from mmml.errors import UserError

TRIES = 100
SUPPORT, QUERY = 0, 1


def groups_for_episodes(samples: Mapping[str, Samples], by_group: bool) -> dict[str, Samples]:
    """The same splits, whose groups the sampler keeps apart, or which have none if that is not asked for."""
    if by_group and any(s.groups is None for s in samples.values()):
        raise UserError("episode.by_group=true needs groups, and this dataset has none: give it a column `group`")
    return dict(samples) if by_group else {split: replace(s, groups=None) for split, s in samples.items()}


def draw_apart(
    rng: np.random.Generator, rows: Sequence[np.ndarray], groups: np.ndarray, shots: int, queries: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Support and query rows of some classes, such that no group is on both sides of the episode.

    Rows are taken in random order; the first row of a group decides on which side it may stand,
    in all classes. What does not work out is tried anew.

    Args:
        rng: of the episode.
        rows: of each class.
        groups: the group of every row of the split.
        shots: rows of each class on the support side.
        queries: rows of each class on the query side.

    Returns:
        ``[classes, shots]`` and ``[classes, queries]``; None if no try worked out.
    """
    for _ in range(TRIES):
        side: dict[int, int] = {}
        sides: tuple[list[list[int]], list[list[int]]] = ([], [])
        for own in rows:
            order = rng.permutation(own).tolist()
            for which, count in ((SUPPORT, shots), (QUERY, queries)):
                sides[which].append(_take(order, groups, side, which, count))
        if all(len(r) == shots for r in sides[SUPPORT]) and all(len(r) == queries for r in sides[QUERY]):
            support, query = (np.array(s, np.int64) for s in sides)
            return support.reshape(len(rows), shots), query.reshape(len(rows), queries)
    return None


def _take(order: list[int], groups: np.ndarray, side: dict[int, int], which: int, count: int) -> list[int]:
    """The first rows whose groups may stand on a side; these are then bound to it."""
    taken: list[int] = []
    for row in order:
        if len(taken) == count:
            break
        if side.setdefault(int(groups[row]), which) == which:
            taken.append(row)
    return taken
