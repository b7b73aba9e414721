"""Copies among the rows of a manifest, which are never on both sides of an episode."""

from collections.abc import Mapping

import numpy as np

from mmml.data.base import Granularity
from mmml.data.cache import cached_arrays
from mmml.data.duplicates import digests, identical, linked
from mmml.data.manifest.columns import Source
from mmml.data.manifest.meaning import TEXTS
from mmml.data.values import Matrix, Values


def telling(sources: Mapping[str, Source], per: Mapping[str, Granularity]) -> dict[str, Source]:
    """The modalities by which rows can be told apart.

    Texts are among them only where rows show nothing else: a short text recurs by chance,
    a photograph does not.
    """
    own = {m: s for m, s in sources.items() if per[m] is Granularity.SAMPLE}
    return {m: s for m, s in own.items() if m not in TEXTS} or own


def copies(sources: Mapping[str, Source], rows: int) -> np.ndarray:
    """A number for each row, ``[rows]``: one for rows that show the same of any modality,
    and for chains of such.

    Args:
        sources: see :func:`telling`.
        rows: how many there are.
    """
    own = np.arange(rows)
    found = []
    for source in sources.values():
        numbers = np.append(_numbers(source.values), 0)[source.of_row]
        found.append(np.where(source.of_row < 0, len(source.values) + own, numbers))
    found = [numbers for numbers in found if len(np.unique(numbers)) < rows]
    return linked(own, *found) if found else own


def _numbers(values: Values) -> np.ndarray:
    if isinstance(values, Matrix):  # large, and read for nothing else before training
        return cached_arrays(
            "copies", {"matrix": values.identity}, lambda: {"of": identical(values)}
        )["of"]
    return identical(values)


def contents(sources: Mapping[str, Source]) -> dict[str, np.ndarray]:
    """A hash of what each row shows, hexadecimal bytes ``[rows]`` by modality,
    empty where a row has none.
    """
    return {m: np.append(digests(s.values), b"")[s.of_row] for m, s in sources.items()}
