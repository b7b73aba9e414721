"""Feature sequences in HDF5 files, one file per stream and split, as published with the Memory
Fusion Network (Zadeh et al., 2018).
"""

import io
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from mmml.data.archives import members, stamps
from mmml.data.base import SCORE, SPLITS, Granularity
from mmml.data.cache import cached_arrays, code_of
from mmml.data.column import Column, mask_of
from mmml.data.download import Download
from mmml.data.on_disk import OnDisk
from mmml.data.values import Subset
from mmml.errors import UserError

HOME = "https://raw.githubusercontent.com/pliang279/MFN/b0453fb6e21b581c796246a0c32a6551f2028c1b/new_data"
WORDS = {"train": "train", "val": "valid", "test": "test"}


def downloads_of(folder: str, digests: Mapping[str, str]) -> tuple[Download, ...]:
    """The files of one dataset to download; ``digests`` maps their names to SHA-256."""
    return tuple(
        Download(f"{HOME}/{folder}/{name}.h5", f"{name}.h5", f"sha256:{d}")
        for name, d in digests.items()
    )


class Streams(OnDisk):
    """A dataset of feature sequences with scores. It has several streams; each is a modality, such
    as ``audio_features``.

    A stream that is zero throughout is missing.

    Class attributes:
        files: names of the files of each stream, with ``{}`` for the split.
    """

    scored = True
    labelled = False
    files: ClassVar[Mapping[str, str]]

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.modalities = {f"{stream}_features": Granularity.SAMPLE for stream in cls.files}

    def read(self, modalities: Collection[str]) -> "dict[str, Recordings]":
        """Return the samples of each split that have any of these modalities."""
        archives = self.find("*.h5", "*.zip", wanted="HDF5 files")
        names = {**self.files, "scores": "y_{}.h5"}
        key = {"archives": stamps(archives), "names": names, "code": code_of(sys.modules[__name__])}
        arrays = cached_arrays(self.name, key, lambda: read_sequences(archives, names))
        return {
            split: self._recordings(arrays, sorted({*modalities} - {SCORE}), split)
            for split in SPLITS
        }

    def _recordings(
        self, arrays: Mapping[str, np.ndarray], modalities: Sequence[str], split: str
    ) -> "Recordings":
        found = {m: arrays.get(f"{m.removesuffix('_features')}/{split}") for m in modalities}
        if lacking := [
            m for m, features in found.items() if features is None or not features.any()
        ]:
            raise UserError(
                f"dataset.root: {self.folder} has no {lacking[0]} of the {split} split: "
                "leave them out"
            )
        features = {m: f for m, f in found.items() if f is not None}
        present = {m: np.any(f, axis=(1, 2)) for m, f in features.items()}
        rows = np.flatnonzero(np.any([*present.values()], axis=0))
        kept = {m: f[rows] for m, f in features.items()}
        return Recordings(
            kept, {m: p[rows] for m, p in present.items()}, arrays[f"scores/{split}"][rows]
        )


@dataclass(frozen=True)
class Recordings:
    """The features and scores of n samples.

    Attributes:
        features: by modality, float32 ``[n, steps, width]``.
        present: by modality, which samples have it, bool ``[n]``.
        scores: ``[n, …]``.
    """

    features: Mapping[str, np.ndarray]
    present: Mapping[str, np.ndarray]
    scores: np.ndarray

    def columns(self, rows: np.ndarray) -> dict[str, Column]:
        """The columns of some samples, in the order of ``rows``."""
        return {
            modality: Column(
                Subset(torch.from_numpy(features), rows), mask_of(self.present[modality][rows])
            )
            for modality, features in self.features.items()
        }


def read_sequences(archives: Sequence[Path], names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Read the arrays of some files.

    Args:
        archives: HDF5 files with one data set ``d1`` each, or zip files of them.
        names: file names by content, with ``{}`` for the split: ``{"audio": "audio_{}.h5"}``.

    Returns:
        float32 arrays by content and split, such as ``audio/train``; files that the archives lack
        are left out.
    """
    found = {}
    of = {
        name.format(word): f"{what}/{split}"
        for what, name in names.items()
        for split, word in WORDS.items()
    }
    for path, data in members(archives, ".h5"):
        if path.name in of:
            with hdf5().File(io.BytesIO(data)) as file:
                found[of[path.name]] = file["d1"][:].astype(np.float32)
    return found


def hdf5() -> Any:
    """Import the package h5py; raises ``UserError`` if it is not installed."""
    try:
        import h5py
    except ImportError:
        raise UserError(
            "this dataset is in HDF5 files, which need h5py: pip install 'mmml[hdf5]'"
        ) from None
    return h5py
