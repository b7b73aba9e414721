"""Finding the table: a file, the ``metadata`` file of a folder, or the folder itself."""

from pathlib import Path

import pyarrow as pa

from mmml.data.manifest.delimited import read_csv
from mmml.data.manifest.folders import TABLES, read_folders
from mmml.data.manifest.records import read_jsonl, read_parquet
from mmml.data.manifest.sheet import Sheet
from mmml.errors import UserError
from mmml.files import expanded

READERS = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".jsonl": read_jsonl,
    ".ndjson": read_jsonl,
    ".parquet": read_parquet,
}


def find(root: str, option: str) -> Path:
    """The manifest that a path means: the file itself, the one in a folder, or the folder
    if it has none.

    Links and ``..`` on the way to its folder are resolved once, here, so that a file has one path.

    Raises:
        UserError: there is nothing, or there are several.
    """
    given = expanded(root)
    try:
        if not given.exists():
            raise UserError(f"{option}={root}: there is no such file or folder")
        if given.is_file():
            if given.suffix.lower() not in READERS:
                raise UserError(
                    f"{option}={root}: a manifest is a {', '.join(TABLES)} file, or a folder"
                )
            return given.parent.resolve() / given.name
        path = given.resolve()
        found = sorted(
            p
            for p in path.iterdir()
            if p.stem.lower() == "metadata" and p.suffix.lower() in READERS
        )
    except OSError as error:  # its name is too long, or it may not be read
        raise UserError(f"{option}={root}: {error.strerror}") from None
    if len(found) > 1:
        raise UserError(
            f"{option}={root} has {found[0].name} and {found[1].name}; name the file to be read"
        )
    return found[0] if found else path


def is_file(path: Path) -> bool:
    """Whether a path is a file; False also for names that the system refuses."""
    try:
        return path.is_file()
    except OSError:
        return False


def read(path: Path, option: str) -> Sheet:
    """All rows as they are written.

    Args:
        path: what :func:`find` returned.
        option: what named it, for messages.

    Raises:
        UserError: naming the row where the file cannot be understood.
    """
    try:
        sheet = read_folders(path, option) if path.is_dir() else READERS[path.suffix.lower()](path)
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from None
    if sheet.table.num_rows == 0:
        raise UserError(f"{path} has no rows")
    return sheet
