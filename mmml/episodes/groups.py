"""Episodes whose support and query sides share no group of near duplicates (``episode.by_group=true``)."""

from collections.abc import Sequence

import numpy as np

TRIES = 100
SUPPORT, QUERY = 0, 1


def draw_apart(
    rng: np.random.Generator, rows: Sequence[np.ndarray], groups: np.ndarray, shots: int, queries: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Support and query rows of some classes, such that no group is on both sides of the episode.

    Rows are taken in random order; the first row of a group decides on which side it may stand,
    in all classes. What does not work out is tried anew, after half of the tries group by group:
    a side of many rows would else take some of every large group, and leave none for the other.

    Args:
        rng: of the episode.
        rows: of each class.
        groups: the group of every row of the split.
        shots: rows of each class on the support side.
        queries: rows of each class on the query side.

    Returns:
        ``[classes, shots]`` and ``[classes, queries]``; None if no try worked out.
    """
    for attempt in range(TRIES):
        side: dict[int, int] = {}
        sides: tuple[list[list[int]], list[list[int]]] = ([], [])
        turn = rng.random(groups.max() + 1) if attempt >= TRIES // 2 else np.zeros(groups.max() + 1)
        for own in rows:
            shuffled = rng.permutation(own)
            order = shuffled[turn[groups[shuffled]].argsort(kind="stable")].tolist()
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
