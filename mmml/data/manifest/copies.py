"""Copies among the rows of a manifest; an episode never has copies in both its support set and its
queries.
"""

from collections.abc import Mapping

import numpy as np

from mmml.data.base import Granularity
from mmml.data.cache import cached_arrays
from mmml.data.duplicates import digests, identical, linked
from mmml.data.manifest.columns import Source
from mmml.data.manifest.meaning import TEXTS
from mmml.data.values import Matrix, Values


def telling(sources: Mapping[str, Source], per: Mapping[str, Granularity]) -> dict[str, Source]:
    """Return the modalities that identify copies of rows.

    Texts are used only if rows have no other modality: equal short texts are often a coincidence,
    equal photographs are not.
    """
    own = {m: s for m, s in sources.items() if per[m] is Granularity.SAMPLE}
    return {m: s for m, s in own.items() if m not in TEXTS} or own


def copies(sources: Mapping[str, Source], rows: int) -> np.ndarray:
    """Return a number for each row, ``[rows]``, the same for rows with an equal value of any
    modality, and for chains of such rows.

    Args:
        sources: see :func:`telling`.
        rows: the number of rows.
    """
    own = np.arange(rows)
    found = []
    for source in sources.values():
        numbers = np.append(_numbers(source.values), 0)[source.of_row]
        found.append(np.where(source.of_row < 0, len(source.values) + own, numbers))
    found = [numbers for numbers in found if len(np.unique(numbers)) < rows]
    return linked(own, *found) if found else own


def _numbers(values: Values) -> np.ndarray:
    if isinstance(values, Matrix):  # large, so its numbers are cached
        return cached_arrays(
            "copies", {"matrix": values.identity}, lambda: {"of": identical(values)}
        )["of"]
    return identical(values)


def contents(sources: Mapping[str, Source]) -> dict[str, np.ndarray]:
    """Return a hash of each row's value by modality, hexadecimal bytes ``[rows]``; empty for rows
    without a value.
    """
    return {m: np.append(digests(s.values), b"")[s.of_row] for m, s in sources.items()}
