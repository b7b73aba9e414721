"""Episodes without near duplicates between support set and queries: no equal values, and no common
groups (``episode.group_disjoint=true``).
"""

from collections.abc import Iterator, Sequence

import numpy as np

TRIES = 100
SPARE = 2  # rows that should be left for the queries, as a multiple of their number
SUPPORT, QUERY = 0, 1

Sides = dict[tuple[int, int], int]
"""By (numbering, number): the side that rows with this number may be on."""


def draw_apart(
    rng: np.random.Generator,
    rows: Sequence[np.ndarray],
    numberings: Sequence[np.ndarray],
    shots: int,
    queries: int,
    query_only: np.ndarray | None = None,
    bound: Sides | None = None,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Draw support and query rows of some classes, so that no number of any numbering is on both
    sides of the episode.

    Rows are taken in random order. If random support rows would use nearly all numbers, rows of the
    same number are taken together. The first row of a number decides its side for all classes. If
    an attempt fails, the episode is drawn again.

    Args:
        rng: of the episode.
        rows: of each class.
        numberings: numbers of every row of the split, ``[rows]`` each: groups, or duplicates.
        shots: support rows of each class.
        queries: query rows of each class.
        query_only: see :class:`mmml.data.base.Samples`.
        bound: sides that are already decided by other classes of the episode.

    Returns:
        ``[classes, shots]`` and ``[classes, queries]``; None if all attempts failed.
    """
    numbering = next(
        (n for n in numberings if any(wasteful(n[own], shots, queries) for own in rows)), None
    )
    for _ in range(TRIES):
        side = dict(bound or {})
        taken: list[list[list[int]]] = []
        for order in _orders(rng, rows, numbering):
            parts = (
                (order, order)
                if query_only is None
                else (order[~query_only[order]], order[query_only[order]])
            )
            taken.append(
                [
                    _take(parts[s], numberings, side, s, n)
                    for s, n in ((SUPPORT, shots), (QUERY, queries))
                ]
            )
        if all((len(s), len(q)) == (shots, queries) for s, q in taken):
            support, query = (np.array(several, np.int64) for several in zip(*taken, strict=True))
            return support.reshape(len(rows), shots), query.reshape(len(rows), queries)
    return None


def _orders(
    rng: np.random.Generator, rows: Sequence[np.ndarray], numbering: np.ndarray | None
) -> Iterator[np.ndarray]:
    """Yield the rows of each class in random order; with a ``numbering``, rows of the same number
    follow one another.
    """
    turn = None if numbering is None else rng.random(numbering.max() + 1)
    for own in rows:
        mixed = rng.permutation(own)
        yield (
            mixed
            if numbering is None or turn is None
            else mixed[turn[numbering[mixed]].argsort(kind="stable")]
        )


def wasteful(numbers: np.ndarray, shots: int, queries: int) -> bool:
    """Whether random support rows would leave too few rows for queries, so that rows of the same
    number should be taken together.

    Args:
        numbers: of the rows of a class, ``[rows]``.
        shots: see :func:`draw_apart`.
        queries: see :func:`draw_apart`.
    """
    sizes = np.unique(numbers, return_counts=True)[1]
    # The expected number of rows whose number has no support row.
    left = float((sizes * (1 - min(shots / len(numbers), 1)) ** sizes).sum())
    return left < max(queries, min(SPARE * queries, (len(numbers) - shots) / 2))


def _take(
    order: np.ndarray, numberings: Sequence[np.ndarray], side: Sides, which: int, count: int
) -> list[int]:
    """Return the first rows whose numbers are allowed on a side, and bind these numbers to the
    side.
    """
    taken: list[int] = []
    for row in order.tolist():
        if len(taken) == count:
            break
        own = [(i, int(numbers[row])) for i, numbers in enumerate(numberings)]
        if all(side.get(number, which) == which for number in own):
            side.update(dict.fromkeys(own, which))
            taken.append(row)
    return taken


def meeting(numbers: np.ndarray, support: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Return which classes of an episode have a row whose number is on both sides, bool ``[ways]``.

    Args:
        numbers: of every row of the split, ``[rows]``.
        support: rows ``[ways, shots]``.
        query: rows ``[ways, queries]``.
    """
    support, query = numbers[support], numbers[query]
    both = np.intersect1d(support, query)
    return np.asarray(np.isin(support, both).any(1) | np.isin(query, both).any(1))


def sides_of(numbers: np.ndarray, support: np.ndarray, query: np.ndarray) -> Sides:
    """Return the sides that drawn rows decide; arguments as of :func:`meeting`."""
    return {
        (0, int(n)): which
        for which, rows in ((SUPPORT, support), (QUERY, query))
        for n in numbers[rows].ravel()
    }
