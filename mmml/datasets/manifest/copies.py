"""Copies among the rows of a manifest: what is the same under two names never teaches and asks at once."""

from collections.abc import Mapping

import numpy as np

from mmml.datasets.base import Per
from mmml.datasets.cache import cached_arrays
from mmml.datasets.duplicates import digests, linked
from mmml.datasets.manifest.columns import Source
from mmml.datasets.manifest.meaning import TEXTS
from mmml.datasets.values import Matrix


def contents(sources: Mapping[str, Source], per: Mapping[str, Per]) -> dict[str, np.ndarray]:
    """What tells the content of each row, hexadecimal bytes ``[rows]`` by modality, empty where a row has none.

    Texts count only where rows show nothing else: a short text recurs by chance, a photograph does not.
    """
    own = {m: s for m, s in sources.items() if per[m] is Per.SAMPLE}
    telling = {m: s for m, s in own.items() if m not in TEXTS} or own
    return {m: _of_rows(source) for m, source in telling.items()}


def _of_rows(source: Source) -> np.ndarray:
    values, of_row = source.values, source.of_row
    if isinstance(values, Matrix):  # large, and read for nothing else before training
        found = cached_arrays("digests", {"matrix": values.identity}, lambda: {"all": digests(values)})["all"]
    else:
        found = digests(values)
    return np.append(found, b"")[of_row]  # −1: the empty one at the end


def copies(contents: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """A number for each row, ``[rows]``: one for rows with the same content of any modality, and for chains of such."""
    numberings = []
    for own in contents.values():
        numbers = np.unique(own, return_inverse=True)[1]
        numberings.append(np.where(own == b"", len(own) + np.arange(len(own)), numbers))
    return linked(*numberings) if numberings else np.arange(rows)
