"""Feature sequences in HDF5 files, one of each stream for each split, as distributed with the Memory
Fusion Network (Zadeh et al., 2018).
"""

import io
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from mmml.datasets.archives import members, stamps
from mmml.datasets.base import SPLITS, Per
from mmml.datasets.cache import cached_arrays, code_of
from mmml.datasets.download import Download
from mmml.datasets.on_disk import OnDisk
from mmml.errors import UserError, require

HOME = "https://raw.githubusercontent.com/pliang279/MFN/b0453fb6e21b581c796246a0c32a6551f2028c1b/new_data"
WORDS = {"train": "train", "val": "valid", "test": "test"}


def downloads_of(folder: str, digests: Mapping[str, str]) -> tuple[Download, ...]:
    """The files of one dataset, by name and SHA-256."""
    return tuple(Download(f"{HOME}/{folder}/{name}.h5", f"{name}.h5", f"sha256:{d}") for name, d in digests.items())


class Streams(OnDisk):
    """A dataset of feature sequences, with scores, in several streams of which any may be used.

    Args:
        root: see :class:`mmml.datasets.on_disk.OnDisk`.
        streams: what ``features`` are made of, side by side.

    Class attributes:
        files: names of the files of each stream, with ``{}`` for the split.
    """

    files: ClassVar[Mapping[str, str]]
    modalities: Mapping[str, Per] = {"features": Per.SAMPLE}

    def __init__(self, root: str | None, streams: list[str]):
        super().__init__(root)
        self.streams = streams
        ok = bool(streams) and set(streams) <= set(self.files)
        require(ok, "dataset.streams", streams, f"a list of {', '.join(self.files)}")

    def read(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Of each split float32 features ``[n, steps, width]`` and scores ``[n, …]``, where no stream is missing."""
        archives = self.find("*.h5", "*.zip", wanted="HDF5 files")
        names = {**self.files, "scores": "y_{}.h5"}
        key = {"archives": stamps(archives), "names": names, "code": code_of(sys.modules[__name__])}
        arrays = cached_arrays(self.name, key, lambda: read_sequences(archives, names))
        found = {}
        for split in SPLITS:
            features, rows = joined(arrays, self.streams, split)
            found[split] = features, arrays[f"scores/{split}"][rows]
        return found


def read_sequences(archives: Sequence[Path], names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """The arrays that some files hold.

    Args:
        archives: HDF5 files with a data set ``d1`` each, or zip files of them.
        names: of the files, with ``{}`` for the split, by what is in them: ``{"audio": "audio_{}.h5"}``.

    Returns:
        float32 arrays by ``audio/train``, without those whose file is not in the archives.
    """
    try:
        import h5py
    except ImportError:
        raise UserError("this dataset is in HDF5 files, which need h5py: pip install 'mmml[hdf5]'") from None
    found = {}
    of = {name.format(word): f"{what}/{split}" for what, name in names.items() for split, word in WORDS.items()}
    for place, data in members(archives, ".h5"):
        if place.name in of:
            with h5py.File(io.BytesIO(data)) as file:
                found[of[place.name]] = file["d1"][:].astype(np.float32)
    return found


def joined(arrays: Mapping[str, np.ndarray], streams: Sequence[str], split: str) -> tuple[np.ndarray, np.ndarray]:
    """The streams of a split side by side, and the rows in which none of them is missing, that is, all zero.

    Returns:
        ``[rows, steps, width]`` and the numbers of the rows, ``[rows]``; nothing where a stream has no file.
    """
    parts = [arrays.get(f"{stream}/{split}") for stream in streams]
    there = [part for part in parts if part is not None]
    if len(there) < len(parts):
        return np.zeros((0, 1, 1), np.float32), np.zeros(0, np.int64)
    whole = np.concatenate(there, axis=-1)
    rows = np.flatnonzero(np.all([part.any(axis=(1, 2)) for part in there], axis=0))
    return whole[rows], rows
