"""Atomic writing of files: a kill at any moment leaves the old file or the new one."""

import json
import math
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmml.errors import DISK, UserError

if TYPE_CHECKING:
    import numpy as np


def expanded(path: str | os.PathLike[str]) -> Path:
    """Expand ``~`` and ``~user`` as a shell does; the name of an unknown user stays unchanged."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  (that of pathlib raises)


def check_writable(path: Path) -> None:
    """Raise ``UserError`` for a folder that cannot be made or written, before any work is done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(
            f"the output folder {path} cannot be written: {error.strerror or error}"
        ) from None


def check_working_folder() -> None:
    """Raise ``UserError`` if the working folder was removed, since torch cannot be imported
    there.
    """
    try:
        Path.cwd()
    except FileNotFoundError:
        raise UserError(
            "the working folder was removed: change to another, and give the command again"
        ) from None


def check_target(path: Path, option: str) -> None:
    """Raise ``UserError`` for a file that cannot be written, before any work is done; devices are
    accepted.
    """
    if path.is_dir():
        raise UserError(f"{option}={path} is a folder: name a file")
    if not is_device(path):
        check_writable(path.absolute().parent)


def claim(path: Path) -> Path:
    """Make a new folder of this name, or of this name and a number, and return it.

    Raises:
        UserError: no folder can be made there.
    """
    names = (
        path if number == 1 else path.with_name(f"{path.name}-{number}") for number in count(1)
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for name in names:
            with suppress(FileExistsError):
                name.mkdir()
                return name
    except OSError as error:
        raise UserError(
            f"the output folder {path} cannot be written: {error.strerror or error}"
        ) from None
    raise AssertionError  # there is always a free number


def write_atomically(path: Path, write: Callable[[Any], None]) -> None:
    """Call ``write`` with a temporary binary file, then rename it to the target.

    The file is written beside the target, flushed to the disk, then renamed: a kill at any moment
    leaves either the old file or the new one. The target of a link is replaced, not the link; a
    device is written to directly.
    """
    path = destination(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if is_device(path):
        with writing(path), path.open("wb") as device:
            write(device)
        return
    temporary = beside(path)
    try:
        with writing(path):
            with temporary.open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    with suppress(OSError):  # some file systems cannot flush folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within this context, raise the error of a full or broken disk as an ``OSError`` that names
    this file.
    """
    try:
        yield
    except Exception as error:
        found: BaseException | None = error
        # torch raises another error after the original one.
        while found is not None and not isinstance(found, OSError):
            found = found.__context__
        if found is None or found.errno not in DISK:
            raise
        raise OSError(found.errno, found.strerror, str(path)) from error


def append(path: Path, data: bytes) -> None:
    """Append to a file; if writing fails, the file is restored."""
    path.parent.mkdir(parents=True, exist_ok=True)  # it may have been removed
    with writing(path), path.open("ab", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        try:
            while data:
                data = data[file.write(data) :]
        except OSError:
            file.truncate(before)
            raise


BESIDE = r"\.(.{1,40})\.\d+-[0-9a-f]{8}\.tmp"  # names from :func:`beside`


def beside(path: Path) -> Path:
    """Return a hidden name in the same folder that no other process uses."""
    return path.with_name(f".{path.name[:40]}.{own_mark()}.tmp")


def own_mark() -> str:
    """Return a suffix that makes a name unique, also if several machines share a folder."""
    return f"{os.getpid()}-{secrets.token_hex(4)}"


def is_device(path: Path) -> bool:
    """Whether a path exists and is neither a file nor a folder, such as ``/dev/null``."""
    return path.exists() and not path.is_file() and not path.is_dir()


def destination(path: Path) -> Path:
    """Return the target of a link; a device, or a pipe such as ``/dev/stdout``, is returned as it
    is.
    """
    return path if is_device(path) else without_links(path)


def without_links(path: Path) -> Path:
    """Resolve the links of a path; circular links stay, and opening them fails."""
    return Path(os.path.realpath(path))


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def as_json(value: Any, indent: int | None = None) -> str:
    """Return JSON, with null for NaN and infinity, which JSON lacks."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically; see :func:`as_json`."""
    write_text(path, as_json(value, indent=1) + "\n")


def write_npy(file: Any, rows: int, parts: "Iterable[np.ndarray]") -> None:
    """Write arrays ``[n, …]``, with ``rows`` rows in total, as one float32 ``.npy``, without
    holding all of them in memory.
    """
    import numpy as np  # not needed for --help

    for number, part in enumerate(parts):
        if number == 0:
            header = {"descr": "<f4", "fortran_order": False, "shape": (rows, *part.shape[1:])}
            np.lib.format.write_array_header_1_0(file, header)
        file.write(np.ascontiguousarray(part, "<f4").tobytes())


def read_json(path: Path) -> Any:
    """Return the value of a JSON file, or None if there is no file."""
    return json.loads(path.read_text()) if path.exists() else None


def keep_aside(path: Path) -> None:
    """Rename an existing file to ``<name>.<number><suffix>``, with the first free number, so that
    nothing is lost.
    """
    if path.is_file():
        # A unique name, so that only one of two processes gets the file.
        kept = path.with_name(f"{path.stem}.{own_mark()}{path.suffix}")
        with suppress(FileNotFoundError):  # another process has renamed it
            path.rename(kept)
            next(
                n
                for n in count(1)
                if take_place(kept, path.with_name(f"{path.stem}.{n}{path.suffix}"))
            )


def take_place(part: Path, path: Path) -> bool:
    """Rename a file unless the new name exists; returns whether it did not exist."""
    try:
        os.link(part, path)  # unlike a renaming, never replaces a file
    except FileExistsError:
        return False
    except OSError:  # a file system without links
        if path.exists():
            return False
        part.rename(path)
    else:
        part.unlink()
    return True


def remove_unfinished(paths: Iterable[Path]) -> None:
    """Remove temporary files of killed processes beside these files (or patterns); no process may
    be writing them now.
    """
    for path in paths:
        for temporary in path.parent.glob(f".{path.name}.*.tmp"):
            temporary.unlink(missing_ok=True)
