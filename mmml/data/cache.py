"""A folder for what is slow to make and cheap to keep, keyed by everything that shaped it."""

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
ENTRY = r"([a-z]+(?:[_-][a-z]+)*)-[0-9a-f]{24}"  # names of entries: a kind, and what key_of returns
# The kind of folders with the content of archives, whose files have any names.
UNPACKED = "unpacked"


def cache_dir() -> Path:
    """``$MMML_CACHE``, else the platform's cache folder."""
    return expanded(os.environ.get("MMML_CACHE") or platformdirs.user_cache_dir("mmml"))


@functools.cache
def scratch_dir(memory: bool = False) -> Path:
    """A folder for this process alone, for when the cache cannot be written; it goes when
    the process ends.

    Args:
        memory: whether it lies in memory, if the system has such a folder. It also does
            if no disk has room.
    """
    try:
        parent: str | None = MEMORY if memory and Path(MEMORY).is_dir() else tempfile.gettempdir()
    except FileNotFoundError:  # no folder that it can write to
        parent = MEMORY
    folder = Path(tempfile.mkdtemp(prefix="mmml-", dir=parent))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def warn_unwritable(folder: Path, why: str) -> None:
    """Warn once that nothing can be cached."""
    log.warning("%s cannot be written (%s): nothing is cached", folder, why)


def code_of(*modules: ModuleType) -> str:
    """Changes whenever the code of these modules does."""
    files = [Path(str(module.__file__)) for module in modules]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def key_of(key: Any) -> str:
    """A short name for a JSON value: its hash."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def cached_folder(name: str, fill: Callable[[Path], bool], read: Callable[[Path], T]) -> T:
    """What a folder of the cache holds, which is filled whole or not at all;
    two processes may race.

    What cannot be written, is damaged or may not be read is made for this process alone.

    Args:
        name: with a key of everything that its files depend on.
        fill: writes them into an empty folder; returns whether they are worth keeping.
        read: gives what is wanted of a filled folder; raises where a file is damaged.
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
    """Fill a folder unless it exists; it gets its name once it is whole.
    Returns where the files are.
    """
    if folder.exists():
        return folder
    partial = beside(folder)
    # With the rights that the user gives to files, as others may share the cache.
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
    """The arrays that ``make`` returns, from the cache if it was called with this key before.

    The key is part of the file's name and stands beside it as JSON; a file that cannot be read
    is made anew. Two processes may race: each writes a temporary file and renames it.

    Args:
        name: the beginning of the file's name.
        key: everything that the arrays depend on, as JSON values.
        make: draws, decodes or embeds; plain arrays only, no objects.
    """
    path = cache_dir() / f"{name}-{key_of(key)}.npz"
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {k: file[k] for k in file.files}
    except FileNotFoundError:
        pass
    except Exception as error:  # a damaged file raises many kinds; all of them mean: make it anew
        log.warning("%s cannot be read (%s) and is made anew", path, error)
    arrays = make()
    try:
        write_text(path.with_suffix(".json"), json.dumps(key, sort_keys=True, indent=1))
        write_atomically(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    except OSError as error:
        warn_unwritable(path.parent, str(error.strerror or error))
    return arrays
