"""Episodes whose support and query sides share no near duplicates: no group (``episode.by_group=true``), no equal value."""

from collections.abc import Sequence

import numpy as np

TRIES = 100
SPARE = 2  # times as many rows as there are queries should be left to them
SUPPORT, QUERY = 0, 1

Sides = dict[tuple[int, int], int]
"""By numbering and number, the side on which rows of that number may stand."""


def draw_apart(
    rng: np.random.Generator,
    rows: Sequence[np.ndarray],
    numberings: Sequence[np.ndarray],
    shots: int,
    queries: int,
    query_only: np.ndarray | None = None,
    bound: Sides | None = None,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Support and query rows of some classes, such that no number of any numbering is on both sides of the episode.

    Rows are taken in random order, or number by number where the support side is to have so many that they would be
    some of nearly every number; the first row of a number decides on which side it may stand, in all classes. What does
    not work out is tried anew.

    Args:
        rng: of the episode.
        rows: of each class.
        numberings: of every row of the split, ``[rows]`` each: their groups, or which rows are duplicates.
        shots: rows of each class on the support side.
        queries: rows of each class on the query side.
        query_only: see :class:`mmml.datasets.Samples`.
        bound: what other classes of the episode have decided already.

    Returns:
        ``[classes, shots]`` and ``[classes, queries]``; None if no try worked out.
    """
    whole = next((n for n in numberings if any(wasteful(n[own], shots, queries) for own in rows)), None)
    for _ in range(TRIES):
        side = dict(bound or {})
        sides: tuple[list[list[int]], list[list[int]]] = ([], [])
        turn = rng.random(whole.max() + 1) if whole is not None else None
        for own in rows:
            mixed = rng.permutation(own)
            order = mixed if whole is None or turn is None else mixed[turn[whole[mixed]].argsort(kind="stable")]
            for which, count in ((SUPPORT, shots), (QUERY, queries)):
                fit = order if query_only is None else order[query_only[order] == (which == QUERY)]
                sides[which].append(_take(fit.tolist(), numberings, side, which, count))
        if all(len(r) == shots for r in sides[SUPPORT]) and all(len(r) == queries for r in sides[QUERY]):
            support, query = (np.array(s, np.int64) for s in sides)
            return support.reshape(len(rows), shots), query.reshape(len(rows), queries)
    return None


def wasteful(numbers: np.ndarray, shots: int, queries: int) -> bool:
    """Whether random shots would leave too few rows for queries, and those of whole numbers more.

    Args:
        numbers: of the rows of a class, ``[rows]``.
        shots: see :func:`draw_apart`.
        queries: see there.
    """
    sizes = np.unique(numbers, return_counts=True)[1]
    left = float((sizes * (1 - min(shots / len(numbers), 1)) ** sizes).sum())  # expected of numbers without a shot
    return left < max(queries, min(SPARE * queries, (len(numbers) - shots) / 2))


def _take(order: list[int], numberings: Sequence[np.ndarray], side: Sides, which: int, count: int) -> list[int]:
    """The first rows whose numbers may stand on a side; these are then bound to it."""
    taken: list[int] = []
    for row in order:
        if len(taken) == count:
            break
        own = [(i, int(numbers[row])) for i, numbers in enumerate(numberings)]
        if all(side.get(number, which) == which for number in own):
            side.update(dict.fromkeys(own, which))
            taken.append(row)
    return taken


def meeting(numbers: np.ndarray, support: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Which classes of an episode have a row whose number is on both sides, bool ``[ways]``.

    Args:
        numbers: of every row of the split, ``[rows]``.
        support: rows ``[ways, shots]``.
        query: rows ``[ways, queries]``.
    """
    shown, asked = numbers[support], numbers[query]
    both = np.intersect1d(shown, asked)
    found: np.ndarray = np.isin(shown, both).any(1) | np.isin(asked, both).any(1)
    return found


def sides_of(numbers: np.ndarray, support: np.ndarray, query: np.ndarray) -> Sides:
    """What rows that are drawn decide; arguments as of :func:`meeting`."""
    return {(0, int(n)): which for which, rows in ((SUPPORT, support), (QUERY, query)) for n in numbers[rows].ravel()}
