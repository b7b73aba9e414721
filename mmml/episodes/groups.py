"""Episodes whose support and query sides share no group of near duplicates (``episode.by_group=true``)."""

from collections.abc import Sequence

import numpy as np

TRIES = 100
SPARE = 2  # times as many rows as there are queries should be left to them
SUPPORT, QUERY = 0, 1


def draw_apart(
    rng: np.random.Generator, rows: Sequence[np.ndarray], groups: np.ndarray, shots: int, queries: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Support and query rows of some classes, such that no group is on both sides of the episode.

    Rows are taken in random order, or group by group where the support side is to have so many that they would be some
    of nearly every group; the first row of a group decides on which side it may stand, in all classes. What does
    not work out is tried anew.

    Args:
        rng: of the episode.
        rows: of each class.
        groups: the group of every row of the split.
        shots: rows of each class on the support side.
        queries: rows of each class on the query side.

    Returns:
        ``[classes, shots]`` and ``[classes, queries]``; None if no try worked out.
    """
    by_group = any(wasteful(groups[own], shots, queries) for own in rows)
    for _ in range(TRIES):
        side: dict[int, int] = {}
        sides: tuple[list[list[int]], list[list[int]]] = ([], [])
        turn = rng.random(groups.max() + 1) if by_group else None
        for own in rows:
            mixed = rng.permutation(own)
            order = (mixed if turn is None else mixed[turn[groups[mixed]].argsort(kind="stable")]).tolist()
            for which, count in ((SUPPORT, shots), (QUERY, queries)):
                sides[which].append(_take(order, groups, side, which, count))
        if all(len(r) == shots for r in sides[SUPPORT]) and all(len(r) == queries for r in sides[QUERY]):
            support, query = (np.array(s, np.int64) for s in sides)
            return support.reshape(len(rows), shots), query.reshape(len(rows), queries)
    return None


def wasteful(groups: np.ndarray, shots: int, queries: int) -> bool:
    """Whether random shots would leave too few rows for queries, and those of whole groups more.

    Args:
        groups: of the rows of a class, ``[rows]``.
        shots: see :func:`draw_apart`.
        queries: see there.
    """
    sizes = np.unique(groups, return_counts=True)[1]
    left = float((sizes * (1 - min(shots / len(groups), 1)) ** sizes).sum())  # expected in groups without a shot
    return left < min(SPARE * queries, (len(groups) - shots) / 2)


def _take(order: list[int], groups: np.ndarray, side: dict[int, int], which: int, count: int) -> list[int]:
    """The first rows whose groups may stand on a side; these are then bound to it."""
    taken: list[int] = []
    for row in order:
        if len(taken) == count:
            break
        if side.setdefault(int(groups[row]), which) == which:
            taken.append(row)
    return taken
