"""Archives that people download: told apart, read, and unpacked once."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mmml.datasets.cache import cache_dir, key_of
from mmml.datasets.values import file_identity


def stamps(archives: Sequence[Path]) -> list[list[Any]]:
    """What tells one version of the files from another."""
    return [file_identity(p) for p in archives]


def members(archives: Sequence[Path], suffix: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Every file with a suffix in archives, without what macOS leaves there, and those that lie beside them."""
    for archive in archives:
        if archive.suffix == suffix:
            yield PurePosixPath(*archive.parts[-3:]), archive.read_bytes()
            continue
        with zipfile.ZipFile(archive) as opened:
            for member in opened.namelist():
                place = PurePosixPath(member)
                if place.suffix == suffix and not place.name.startswith(".") and place.parts[0] != "__MACOSX":
                    yield place, opened.read(member)


def unpacked(archives: Sequence[Path], suffix: str) -> Path:
    """A folder of the cache with every file of a suffix in it, under the last folder that it has in its archive."""
    folder = cache_dir() / f"unpacked-{key_of([*stamps(archives), suffix])}"
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".unpacked-", dir=folder.parent))
    try:
        for place, data in members(archives, suffix):
            target = partial.joinpath(*place.parts[-2:])
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(data)
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder
