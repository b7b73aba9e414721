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
from typing import Any

import numpy as np
import platformdirs

from mmml.files import write_atomically, write_text

log = logging.getLogger(__name__)


def cache_dir() -> Path:
    """``$MMML_CACHE``, else the platform's cache folder."""
    return Path(os.environ.get("MMML_CACHE") or platformdirs.user_cache_dir("mmml"))


@functools.cache
def scratch_dir() -> Path:
    """A folder for this process alone, for when the cache cannot be written; it goes when the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="mmml-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def code_of(*modules: ModuleType) -> str:
    """Changes whenever the code of these modules does."""
    files = [Path(str(module.__file__)) for module in modules]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def key_of(key: Any) -> str:
    """A short name for a JSON value: its hash."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def cached_folder(name: str, fill: Callable[[Path], bool]) -> Path:
    """A folder of the cache, filled whole or not at all; two processes may race.

    Args:
        name: with a key of everything that its files depend on.
        fill: writes them into an empty folder; returns whether they are worth keeping.

    Returns:
        Where they are: for this process alone if they are not kept, or the cache cannot be written.
    """
    folder = cache_dir() / name
    try:
        return folder if folder.exists() else _filled(folder, fill)
    except OSError as error:
        log.warning("%s cannot be written (%s): nothing is cached", folder.parent, error)
    folder = scratch_dir() / name
    return folder if folder.exists() else _filled(folder, fill)


def _filled(folder: Path, fill: Callable[[Path], bool]) -> Path:
    """Fill a folder, which gets its name once it is whole; returns where the files are."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name[:9]}", dir=folder.parent))
    try:
        if not fill(partial):
            return Path(shutil.move(partial, scratch_dir() / partial.name))
        try:
            partial.rename(folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def cached_arrays(name: str, key: dict[str, Any], make: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
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
        log.warning("%s cannot be written (%s): nothing is cached", path.parent, error)
    return arrays
