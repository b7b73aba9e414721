"""The cache: a folder for results that are slow to compute and small to store. Their names have a
hash of everything that they depend on.
"""

import atexit
import functools
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
import platformdirs

from mmml.files import beside, expanded, write_atomically, write_text, writing

T = TypeVar("T")

log = logging.getLogger(__name__)

MEMORY = "/dev/shm"
ENTRY = r"([a-z]+(?:[_-][a-z]+)*)-[0-9a-f]{24}"  # names of entries: kind and key
# The kind of folders with the content of archives, whose files may have any name.
UNPACKED = "unpacked"


def cache_dir() -> Path:
    """Return ``$MMML_CACHE`` if it is set, else the platform's cache folder."""
    return expanded(os.environ.get("MMML_CACHE") or platformdirs.user_cache_dir("mmml"))


@functools.cache
def scratch_dir(memory: bool = False) -> Path:
    """Return a temporary folder of this process, used when the cache cannot be written; it is
    removed when the process ends.

    Args:
        memory: whether to place it in memory, if the system has such a folder. It is also placed
            there if no disk has room.
    """
    try:
        parent: str | None = MEMORY if memory and Path(MEMORY).is_dir() else tempfile.gettempdir()
    except FileNotFoundError:  # there is no writable folder
        parent = MEMORY
    folder = Path(tempfile.mkdtemp(prefix="mmml-", dir=parent))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def warn_unwritable(folder: Path, why: str) -> None:
    """Warn once that nothing can be cached."""
    log.warning("%s cannot be written (%s): nothing is cached", folder, why)


def code_of(*modules: ModuleType) -> str:
    """A hash of the source code of some modules."""
    files = [Path(str(module.__file__)) for module in modules]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def key_of(key: Any) -> str:
    """Return a hash of a JSON value, as a short name."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def cached_folder(name: str, fill: Callable[[Path], bool], read: Callable[[Path], T]) -> T:
    """Return what ``read`` finds in a folder of the cache, which ``fill`` fills if it does not
    exist.

    The folder appears only when it is complete, so two processes may do this at once. If the cache
    cannot be written or read, or its files are damaged, the folder is made for this process alone.

    Args:
        name: of the folder, with a key of everything that its files depend on.
        fill: writes the files into an empty folder; returns whether to keep them in the cache.
        read: returns the content of a filled folder; raises an error if a file is damaged.
    """
    folder = cache_dir() / name
    try:
        folder = _filled(folder, fill)
    except OSError as error:
        warn_unwritable(folder.parent, str(error.strerror or error))
    else:
        try:
            return read(folder)
        except (OSError, ValueError, KeyError, EOFError) as error:
            log.warning("%s cannot be read (%s) and is made anew", folder, error)
    try:
        return read(_filled(scratch_dir() / name, fill))
    except OSError:
        return read(_filled(scratch_dir(memory=True) / name, fill))


def _filled(folder: Path, fill: Callable[[Path], bool]) -> Path:
    """Fill a folder unless it exists, and rename it once it is complete. Returns where the files
    are: in this folder, or in a temporary one if they are not to be kept.
    """
    if folder.exists():
        return folder
    partial = beside(folder)
    # With the user's default rights, as others may share the cache.
    partial.mkdir(parents=True)
    try:
        with writing(partial):
            lasting = fill(partial)
        if not lasting:
            return Path(shutil.move(partial, scratch_dir() / partial.name))
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def cached_arrays(
    name: str, key: dict[str, Any], make: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """Return the arrays that ``make`` returns, from the cache if they were made for this key
    before.

    The key is part of the file's name and is also stored beside it as JSON; a file that cannot be
    read is made again. Two processes may do this at once: each writes a temporary file and renames
    it.

    Args:
        name: the beginning of the file's name.
        key: everything that the arrays depend on, as JSON values.
        make: computes the arrays; plain arrays only, no objects.
    """
    path = cache_dir() / f"{name}-{key_of(key)}.npz"
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {k: file[k] for k in file.files}
    except FileNotFoundError:
        pass
    except Exception as error:  # damaged files raise errors of many types
        log.warning("%s cannot be read (%s) and is made anew", path, error)
    arrays = make()
    try:
        write_text(path.with_suffix(".json"), json.dumps(key, sort_keys=True, indent=1))
        write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    except OSError as error:
        warn_unwritable(path.parent, str(error.strerror or error))
    return arrays
