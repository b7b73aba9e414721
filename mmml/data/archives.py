"""Downloaded archives: identified by their file properties, read, and unpacked once."""

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mmml.data.cache import UNPACKED, cached_folder, key_of
from mmml.data.values import file_identity
from mmml.errors import UserError


def stamps(archives: Sequence[Path]) -> list[list[Any]]:
    """The size, times and inode of each file: they change when a file does."""
    return [file_identity(p) for p in archives]


def members(archives: Sequence[Path], suffix: str) -> Iterator[tuple[PurePosixPath, bytes]]:
    """Yield path and content of every file with a suffix: the members of zip files, and files that
    are given directly.

    Files that macOS adds to archives are skipped.

    Raises:
        UserError: an archive is damaged, or a member's path leads out of it.
    """
    for archive in archives:
        if archive.suffix == suffix:
            yield PurePosixPath(*archive.parts[-3:]), archive.read_bytes()
            continue
        try:
            with zipfile.ZipFile(archive) as opened:
                for member in opened.namelist():
                    path = PurePosixPath(member)
                    if path.is_absolute() or ".." in path.parts:
                        raise UserError(
                            f"{archive} holds {member}, which would lie outside: get it anew"
                        )
                    if (
                        path.suffix == suffix
                        and not path.name.startswith(".")
                        and path.parts[0] != "__MACOSX"
                    ):
                        yield path, opened.read(member)
        except zipfile.BadZipFile as error:
            raise UserError(f"{archive} is no whole zip file ({error}): get it anew") from None


def unpacked(archives: Sequence[Path], suffix: str) -> Path:
    """Return a folder of the cache with every file of a suffix, each in a folder named as its
    parent folder in the archive.
    """

    def fill(folder: Path) -> bool:
        for path, data in members(archives, suffix):
            target = folder.joinpath(*path.parts[-2:])
            target.parent.mkdir(exist_ok=True)
            if target.exists():
                raise UserError(
                    f"dataset.root: {target.parent.name}/{target.name} is in the archives twice"
                )
            target.write_bytes(data)
        return True

    return cached_folder(f"{UNPACKED}-{key_of([*stamps(archives), suffix])}", fill, readable)


def readable(folder: Path) -> Path:
    """Return the folder; raises an ``OSError`` if its files cannot be listed."""
    next(folder.iterdir(), None)
    return folder
