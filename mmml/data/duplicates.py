"""Rows with equal values: a query that equals a support sample would be trivial."""

import hashlib
from typing import Any

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mmml.data.values import Subset, Values, content_of

READ = 256  # number of values read at a time
DIGEST = "S32"


def identical(values: Values) -> np.ndarray:
    """Return a number for each of n values, ``[n]``, the same for values that are equal in every
    element.
    """
    rows, first_of = suspects(values), dict[bytes, int]()
    first = np.arange(len(values))  # the first row with the same value
    for row, digest in zip(rows.tolist(), digests(Subset(values, rows)).tolist(), strict=True):
        first[row] = first_of.setdefault(digest, row)
    return np.unique(first, return_inverse=True)[1]


def suspects(values: Values) -> np.ndarray:
    """Return the rows that may equal another row: those that share a fingerprint.

    Returns all rows if values differ in shape, or if their hashes are known without reading them.
    """
    if getattr(values, "digests", None) is not None:
        return np.arange(len(values))
    found = []
    for first in range(0, len(values), READ):
        batch = values[first : first + READ]
        if not isinstance(batch, torch.Tensor):
            return np.arange(len(values))
        found.append(fingerprints(batch.contiguous().numpy()))
    prints = np.concatenate(found) if found else np.zeros(0, np.uint64)
    _, group, sizes = np.unique(prints, return_inverse=True, return_counts=True)
    return np.flatnonzero(sizes[group] > 1)


def fingerprints(batch: np.ndarray) -> np.ndarray:
    """Return a number for each array of ``[n, …]``, as ``[n]``: equal arrays have equal numbers;
    different arrays seldom do.

    This is much faster than a hash: groups of 8 bytes are multiplied by fixed random numbers and
    added modulo 2⁶⁴.
    """
    octets = batch.reshape(len(batch), -1).view(np.uint8)
    words = np.pad(octets, ((0, 0), (0, -octets.shape[1] % 8))).view(np.uint64)
    factors = np.random.default_rng(0).integers(0, 2**64, words.shape[1], np.uint64) | np.uint64(1)
    return (words * factors).sum(axis=1, dtype=np.uint64)


def digests(values: Values) -> np.ndarray:
    """Return a hash of each of n values, hexadecimal bytes ``[n]``; equal values have equal
    hashes.
    """
    if (known := getattr(values, "digests", None)) is not None:
        return np.asarray(known)
    batches = (
        values[np.arange(first, min(first + READ, len(values)))]
        for first in range(0, len(values), READ)
    )
    return np.array([digest_of(value) for batch in batches for value in batch], DIGEST)


def linked(*numberings: np.ndarray) -> np.ndarray:
    """Return the connected components of rows, as numbers ``[n]``: rows with a common number in any
    numbering get one number, and so do chains of such rows.

    Args:
        numberings: ``[n]`` each; numbers from 0.
    """
    n = len(numberings[0])
    first = n + np.cumsum([0, *(int(numbers.max(initial=-1)) + 1 for numbers in numberings)])
    rows = np.tile(np.arange(n), len(numberings))
    nodes = np.concatenate([a + b for a, b in zip(numberings, first[:-1], strict=True)])
    links = coo_array((np.ones(len(rows)), (rows, nodes)), shape=(first[-1], first[-1]))
    parts: np.ndarray = connected_components(links, directed=False)[1][:n]
    return np.unique(parts, return_inverse=True)[1]


def if_any(numbers: np.ndarray) -> np.ndarray | None:
    """Return the numbers of rows as :attr:`mmml.data.base.Samples.duplicates`; None if all
    differ.
    """
    return None if len(np.unique(numbers)) == len(numbers) else numbers


def digest_of(value: Any) -> str:
    """Return the hash of one value, see :func:`digests`."""
    return hashlib.blake2b(content_of(value), digest_size=16).hexdigest()
