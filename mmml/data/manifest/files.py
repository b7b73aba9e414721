"""Finding the manifest: a table, the ``metadata`` file of a folder, or the folder itself."""

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
    """Return the manifest that a path means: the table itself, the table in a folder, or the folder
    if it has no table.

    Links and ``..`` in the path are resolved here, so that a manifest has one path.

    Raises:
        UserError: the path does not exist, or its folder has several tables.
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
    except OSError as error:  # its name is too long, or it cannot be accessed
        raise UserError(f"{option}={root}: {error.strerror}") from None
    if len(found) > 1:
        raise UserError(
            f"{option}={root} has {found[0].name} and {found[1].name}; name the file to be read"
        )
    return found[0] if found else path


def is_file(path: Path) -> bool:
    """Whether a path is a file; False also for paths that the system does not allow."""
    try:
        return path.is_file()
    except OSError:
        return False


def read(path: Path, option: str) -> Sheet:
    """Read all rows as texts.

    Args:
        path: what :func:`find` returned.
        option: the option that gave the path, for messages.

    Raises:
        UserError: the file cannot be read; the message names the row.
    """
    try:
        sheet = read_folders(path, option) if path.is_dir() else READERS[path.suffix.lower()](path)
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from None
    if sheet.table.num_rows == 0:
        raise UserError(f"{path} has no rows")
    return sheet
