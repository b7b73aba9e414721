"""How a column stores its values: in memory, or in memory-mapped files.

Values have a length. Indexing them by a slice or an array of positions returns a *raw batch*: a
tensor if all values have one shape, else an object array of numpy arrays (or of texts).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

Index = np.ndarray | slice


class Values(Protocol):
    """The interface of n values of one modality; tensors and object arrays have it, too."""

    def __len__(self) -> int:
        """The number of values."""
        ...

    def __getitem__(self, index: Any) -> Any:
        """The raw batch at these positions."""
        ...


class Matrix:
    """Arrays of one shape in a ``.npy`` file, read on access.

    Args:
        path: of the file, ``[n, …]`` in any number type.
        dtype: of the batches.
    """

    def __init__(self, path: Path, dtype: Any = np.float32):
        self.path, self.dtype = path, dtype
        self.array = np.load(path, mmap_mode="r", allow_pickle=False)
        self.identity = repr(file_identity(path))

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Index) -> torch.Tensor:
        # Numbers beyond the range of dtype become infinite, which the readers of rows refuse.
        with np.errstate(over="ignore"):
            return torch.from_numpy(np.array(self.array[index], self.dtype))


class Ragged:
    """Arrays of different shapes, one after the other in a memory-mapped file.

    Args:
        data: all numbers, ``[total]``.
        shapes: of each array, ``[n, dimensions]``.
        identity: a text that changes whenever the numbers do.
        digests: a hash of each array, bytes ``[n]``; None if unknown.
    """

    def __init__(
        self, data: np.ndarray, shapes: np.ndarray, identity: str, digests: np.ndarray | None = None
    ):
        self.data, self.shapes, self.identity, self.digests = data, shapes, identity, digests
        self.starts = np.concatenate([[0], np.cumsum(shapes.prod(axis=1))])
        self.uniform = len(shapes) > 0 and bool((shapes == shapes[0]).all())

    def __len__(self) -> int:
        return len(self.shapes)

    def __getitem__(self, index: Index) -> Any:
        if self.uniform:
            return torch.from_numpy(np.array(self.data.reshape(len(self), *self.shapes[0])[index]))
        positions = np.arange(len(self))[index]
        return objects(
            [
                self.data[self.starts[i] : self.starts[i + 1]].reshape(self.shapes[i])
                for i in positions
            ]
        )


class Subset:
    """Some of the values, in any order; values may be repeated.

    Args:
        values: all of them.
        rows: positions of the selected ones, ``[n]``.
    """

    def __init__(self, values: Values, rows: np.ndarray):
        self.values, self.rows = values, rows

    @property
    def identity(self) -> str:
        """A text for all values and the selected rows."""
        return f"{identity_of(self.values)}/{_hash(self.rows.tobytes())}"

    @property
    def digests(self) -> np.ndarray | None:
        """The hashes of the selected values; None if unknown."""
        known = getattr(self.values, "digests", None)
        return None if known is None else known[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Index) -> Any:
        return self.values[self.rows[index]]


def objects(parts: Sequence[Any]) -> np.ndarray:
    """Return an object array ``[n]`` with arrays or texts as elements."""
    array = np.empty(len(parts), dtype=object)
    for i, part in enumerate(parts):  # numpy would combine arrays of one shape if assigned at once
        array[i] = part
    return array


def identity_of(values: Values) -> str:
    """Return a text that changes whenever the values do: from the properties of a file, else a hash
    of the content.
    """
    known = getattr(values, "identity", None)
    if known is not None:
        return str(known)
    content = values[:]
    if isinstance(content, torch.Tensor):
        return _hash(content_of(content))
    return _hash(b"".join(_hash(content_of(value)).encode() for value in content))


def content_of(value: Any) -> bytes:
    """Return an array or a text as bytes; different values have different bytes."""
    array = value.contiguous().numpy() if isinstance(value, torch.Tensor) else value
    if not isinstance(array, np.ndarray):
        return str(array).encode()
    return repr((array.dtype, array.shape)).encode() + array.tobytes()


def file_identity(path: Path) -> list[Any]:
    """Return what changes whenever a file's content does: its path, size, modification times and
    inode; the path and None if it is missing.

    The change time of the inode cannot be reset by copying or by ``touch``.
    """
    try:
        facts = path.stat()
    except OSError:
        return [str(path), None]
    return [str(path), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """Return at most ``most`` different positions below ``count``, evenly spaced and in order,
    including the first and the last.
    """
    return np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)
