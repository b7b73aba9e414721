"""Where a column keeps its values: in memory, or in files that are mapped and read as needed.

Values have a length, and take a slice or an array of positions, which gives a *raw batch*: a
tensor where all values have one shape, else an object array of numpy arrays (or of texts).
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

Index = np.ndarray | slice


class Values(Protocol):
    """n values of one modality; tensors and object arrays are such."""

    def __len__(self) -> int:
        """N."""
        ...

    def __getitem__(self, index: Any) -> Any:
        """The raw batch at these positions."""
        ...


class Matrix:
    """Arrays of one shape in a ``.npy`` file, read as they are asked for.

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
        # What is too large is infinite, which whoever reads rows refuses.
        with np.errstate(over="ignore"):
            return torch.from_numpy(np.array(self.array[index], self.dtype))


class Ragged:
    """Arrays of differing shapes, one after the other in a mapped file.

    Args:
        data: all numbers, ``[total]``.
        shapes: of each array, ``[n, dimensions]``.
        identity: changes whenever the numbers do.
        digests: of each array, bytes ``[n]``, equal where arrays are; None if they are not known.
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
    """Some of the values, in another order, perhaps repeatedly.

    Args:
        values: all of them.
        rows: which, ``[n]``.
    """

    def __init__(self, values: Values, rows: np.ndarray):
        self.values, self.rows = values, rows

    @property
    def identity(self) -> str:
        """That of all values, and which of them."""
        return f"{identity_of(self.values)}/{_hash(self.rows.tobytes())}"

    @property
    def digests(self) -> np.ndarray | None:
        """Those of these values; None if they are not known."""
        known = getattr(self.values, "digests", None)
        return None if known is None else known[self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Index) -> Any:
        return self.values[self.rows[index]]


def objects(parts: Sequence[Any]) -> np.ndarray:
    """An object array ``[n]`` that holds arrays or texts as they are."""
    array = np.empty(len(parts), dtype=object)
    for i, part in enumerate(parts):  # not at once: numpy would look inside of arrays of one shape
        array[i] = part
    return array


def identity_of(values: Values) -> str:
    """A text that changes whenever the values do: of files what tells that they changed,
    else a hash of the content.
    """
    known = getattr(values, "identity", None)
    if known is not None:
        return str(known)
    content = values[:]
    if isinstance(content, torch.Tensor):
        return _hash(content_of(content))
    return _hash(b"".join(_hash(content_of(value)).encode() for value in content))


def content_of(value: Any) -> bytes:
    """All that a value holds, an array or a text; different values have different contents."""
    array = value.contiguous().numpy() if isinstance(value, torch.Tensor) else value
    if not isinstance(array, np.ndarray):
        return str(array).encode()
    return repr((array.dtype, array.shape)).encode() + array.tobytes()


def file_identity(path: Path) -> list[Any]:
    """What changes whenever a file's content does: its place, size, times of change and inode;
    None if missing.

    The time of the inode's change cannot be set back by copying or touching.
    """
    try:
        facts = path.stat()
    except OSError:
        return [str(path), None]
    return [str(path), facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino]


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def evenly_spaced(count: int, most: int) -> np.ndarray:
    """At most so many different positions below ``count``, in order; the first and
    the last among them.
    """
    return np.linspace(0, count - 1, min(most, count)).round().astype(np.int64)
