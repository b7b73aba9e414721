"""Rows that hold the same value: a query that is identical to a support sample asks for nothing."""

import hashlib
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mmml.datasets.values import Values, content_of

READ = 256  # values read at a time
DIGEST = "S32"


def identical(values: Values) -> np.ndarray:
    """A number for each of n values, ``[n]``, the same for values that are equal: pixel by pixel, sample by sample."""
    known: dict[bytes, int] = {}
    return np.array([known.setdefault(digest, len(known)) for digest in digests(values).tolist()], np.int64)


def digests(values: Values) -> np.ndarray:
    """A hash of each of n values, hexadecimal bytes ``[n]``: equal where values are."""
    if (known := getattr(values, "digests", None)) is not None:
        return np.asarray(known)
    batches = (values[np.arange(first, min(first + READ, len(values)))] for first in range(0, len(values), READ))
    return np.array([digest_of(value) for batch in batches for value in batch], DIGEST)


def linked(*numberings: np.ndarray) -> np.ndarray:
    """Join numberings: rows with a common number in any of them get one number, ``[n]``, and so do chains of such rows.

    Args:
        numberings: ``[n]`` each; numbers from 0.
    """
    n = len(numberings[0])
    first = n + np.cumsum([0, *(int(numbers.max(initial=-1)) + 1 for numbers in numberings)])
    rows, nodes = (
        np.tile(np.arange(n), len(numberings)),
        np.concatenate([a + b for a, b in zip(numberings, first[:-1], strict=True)]),
    )
    links = coo_array((np.ones(len(rows)), (rows, nodes)), shape=(first[-1], first[-1]))
    parts: np.ndarray = connected_components(links, directed=False)[1][:n]
    return np.unique(parts, return_inverse=True)[1]


def if_any(numbers: np.ndarray) -> np.ndarray | None:
    """Numbers of rows, for :attr:`mmml.datasets.Samples.duplicates`; None if no two rows share one."""
    return None if len(np.unique(numbers)) == len(numbers) else numbers


def digest_of(value: Any) -> str:
    """See :func:`digests`."""
    return hashlib.blake2b(content_of(value), digest_size=16).hexdigest()
