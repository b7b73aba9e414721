"""Datasets with files in a folder, downloaded by ``mmml-data get`` or put there by the user."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from mmml.data.base import Dataset, datasets
from mmml.data.cache import cache_dir
from mmml.data.download import Download, fetch
from mmml.errors import UserError, did_you_mean
from mmml.files import expanded


class OnDisk(Dataset):
    """A dataset that reads files.

    Args:
        root: the folder of all datasets; None for ``$MMML_DATA``, or a folder of the cache if that
            is not set.

    Class attributes:
        folder_name: of this dataset's folder, inside ``root``.
        downloads: the files that ``mmml-data get`` downloads.
        by_hand: the files that the user must put there: patterns of file names, and what the files
            are and where they come from.
    """

    folder_name: ClassVar[str]
    downloads: ClassVar[Sequence[Download]] = ()
    by_hand: ClassVar[Mapping[str, str]] = {}

    def __init__(self, root: str | None):
        self.folder = self.folder_of(root)

    @classmethod
    def folder_of(cls, root: str | None) -> Path:
        """Return the folder of this dataset's files."""
        return (
            expanded(root or os.environ.get("MMML_DATA") or cache_dir() / "data") / cls.folder_name
        )

    def find(self, *patterns: str, wanted: str | None = None) -> list[Path]:
        """Return the files whose names match a pattern.

        Args:
            patterns: of file names.
            wanted: how a message describes the files; by default the patterns.

        Raises:
            UserError: there is no such file.
        """
        if found := sorted({path for pattern in patterns for path in self.folder.glob(pattern)}):
            return found
        message = [self.by_hand[p] for p in patterns if p in self.by_hand]
        hint = f"put there {message[0]}" if message else f"run mmml-data get {self.name}"
        what = wanted or patterns[0]
        raise UserError(
            f"{self.folder} has no {what}: {hint} (dataset.root=DIR names another folder)"
        )


def downloaded(folder: Path) -> list[Path]:
    """Return the files in a folder that ``mmml-data get`` downloaded, complete or not, without
    those that the user put there.
    """
    named = (datasets.get(name, "dataset") for name in datasets.names())
    known = [d for d in named if isinstance(d, type) and issubclass(d, OnDisk)]
    files = [
        folder / dataset.folder_name / download.path
        for dataset in known
        for download in dataset.downloads
    ]
    return [p for file in files for p in (file, file.with_name(f"{file.name}.part")) if p.is_file()]


def get(name: str, root: str | None) -> int:
    """``mmml-data get``: download a dataset; returns the exit code, 1 if the user must still add
    files.

    Args:
        name: of the dataset.
        root: see :class:`OnDisk`.

    Raises:
        UserError: there is no such dataset, it has no files, or a download failed.
    """
    known = {
        n: d
        for n in datasets.names()
        if isinstance(d := datasets.get(n, "dataset"), type) and issubclass(d, OnDisk)
    }
    if name not in known:
        message = (
            f"there is nothing of that name to get{did_you_mean(name, known)} (known: "
            f"{', '.join(known)})"
        )
        raise UserError(f"{name}: {message}")
    dataset = known[name]
    folder = dataset.folder_of(root)
    for download in dataset.downloads:
        print(fetch(download, folder))
    lacking = [
        message for pattern, message in dataset.by_hand.items() if not any(folder.glob(pattern))
    ]
    if not dataset.downloads:
        print(
            f"{folder} has all files"
            if not lacking
            else f"mmml-data get cannot download the files of {name}"
        )
    for message in lacking:
        print(f"to be put into {folder}: {message}")
    return 1 if lacking else 0
