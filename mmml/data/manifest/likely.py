"""Finding the intended folder if the class folders are one level above or below the given one.

The folder is never replaced silently: a message suggests the other folder, after checking that it
can be read.
"""

import os
import shlex
from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path

import pyarrow.compute as pc

from mmml.data.manifest.files import find, read
from mmml.data.manifest.folders import MODALITY_OF_SUFFIX, TABLES, split_of
from mmml.data.manifest.meaning import TEXTS, interpret
from mmml.data.manifest.rows import SHOWN, ManifestRows
from mmml.data.manifest.sheet import TEXT, Sheet
from mmml.data.media import FILE_MODALITIES
from mmml.errors import UserError

LOOKED_AT = 1000  # at most so many folders, and files of each


def read_named(root: str, option: str) -> tuple[Path, Sheet]:
    """Return the path of a manifest or folder, and all its rows.

    Args:
        root: a manifest or a folder.
        option: the option that gave it: ``dataset.root``, ``support`` or ``query``.

    Raises:
        UserError: it cannot be read; the message suggests a folder below if that can be read.
    """
    path = find(root, option)
    try:
        return path, read(path, option)
    except UserError as error:
        if path.is_dir() and (table := table_below(path)):
            raise UserError(f"{error}; did you mean {naming(option, table)}?") from None
        raise


def tell_likely(rows: ManifestRows, sheet: Sheet, matrix: bool) -> None:
    """Set ``rows.meant``, or add a note, if class folders are above or below the folder that was
    read.

    Args:
        rows: of a manifest or folder.
        sheet: the same rows before interpretation.
        matrix: whether features are in a separate file; files may then belong to its rows without
            labels.
    """
    path, option, labels = rows.path, rows.option, set[str]()
    if not path.is_dir() or option == "query":  # queries need no class folders
        return
    if not rows.has("label") and (table := _table_in(path)):
        rows.meant = (
            f"the table {table.name} in {path} was not read; did you mean {naming(option, table)}?"
        )
        return
    if matrix:
        return
    if rows.has("label"):
        labels = set(rows.column("label").drop_null().to_pylist())
    folders = classes_below(path, sheet)
    names = " or ".join(naming(option, folder) for folder in folders[:SHOWN])
    if len(labels) == 1 and folders:
        rows.meant = f"{path} has one class, {labels.pop()!r}; did you mean {names}?"
    elif folders:
        deep = ", ".join(str(folder.relative_to(path)) for folder in folders[:SHOWN])
        rows.notes.append(
            f"{deep}: folders and no files; if these folders are the classes: {names}"
        )
    elif not labels and (
        parent := classes_above(path, [m for m in FILE_MODALITIES if rows.has(m)])
    ):
        rows.meant = (
            f"{path} is one folder of files without labels; did you mean {naming(option, parent)}?"
        )


def naming(option: str, folder: Path) -> str:
    """The option with a path, to be copied into a command line."""
    also = f" (mmml-data check {shlex.quote(str(folder))})" if option == "dataset.root" else ""
    return shlex.quote(f"{option}={folder}") + also


def classes_below(path: Path, sheet: Sheet) -> list[Path]:
    """Return folders that were read as classes, but probably contain the class folders or a table.

    These are: the only class, if it contains folders or a table; one class of several, if it
    contains at least as many folders as there are classes; several classes, if they contain folders
    with the same names.
    """
    table = sheet.table
    if "split" in table.column_names or "label" not in table.column_names:
        return []
    labels, folders = table["label"].to_pylist(), dict[str, set[str]]()
    for column in (n for n in table.column_names if n.endswith("_file_name")):
        for label, name in zip(labels, table[column].to_pylist(), strict=True):
            if label is not None and name is not None:
                folders.setdefault(label, set()).add(name.rpartition("/")[0])
    tops = {label: os.path.commonpath(several) for label, several in folders.items()}
    parted = [label for label, top in tops.items() if top not in folders[label]]
    inner = [
        {Path(f).relative_to(tops[label]).parts[0] for f in folders[label]} for label in parted
    ]
    if len(folders) == 1:
        (top,) = map(Path, tops.values())
        tables = [p for p in (*reversed(top.parents), top) if p.parts and _has_table(path / p)]
        found = [*tables, *([top] if parted else [])][:1]
    elif len(parted) == 1:
        found = [Path(tops[parted[0]])] if len(inner[0]) >= len(folders) else []
    else:
        found = (
            [Path(tops[label]) for label in parted]
            if parted and len(set.intersection(*inner)) > 1
            else []
        )
    return [path / folder for folder in found if is_readable(path / folder)]


def classes_above(path: Path, modalities: Collection[str]) -> Path | None:
    """Return the parent of a folder of files, if the parent has a table of these files, or mostly
    folders of such files; else None.
    """
    parent = path.parent
    if _has_table(parent):
        return parent if is_readable(parent) and _names_files_of(parent, path.name) else None
    beside = list(_folders(parent))
    alike = [folder for folder in beside if _holds(folder, modalities)]
    ok = path in alike and len(alike) > 1 and 2 * len(alike) >= len(beside)
    return parent if ok and not any(split_of(folder.name) for folder in alike) else None


def _names_files_of(parent: Path, folder: str) -> bool:
    columns = [c for c in read(find(str(parent), ""), "").table.columns if c.type == TEXT]
    return any(pc.any(pc.starts_with(c, f"{folder}/")).as_py() for c in columns)


def table_below(path: Path) -> Path | None:
    """Return the only manifest one or two levels below a folder: its folder, or the table itself;
    None if there is none or several.
    """
    for folders in (
        list(_folders(path)),
        [f for folder in _folders(path) for f in _folders(folder)],
    ):
        found = [
            table
            for folder in folders[:LOOKED_AT]
            if (table := _table_in(folder)) and is_readable(table)
        ]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def _table_in(folder: Path) -> Path | None:
    if _has_table(folder):
        return folder
    tables = [p for p in _entries(folder) if p.suffix.lower() in TABLES and p.is_file()]
    return tables[0] if len(tables) == 1 else None


def is_readable(folder: Path) -> bool:
    """Whether a manifest or folder has rows of some modality."""
    try:
        path = find(str(folder), "")
        named, _ = interpret(read(path, "").table, {}, path, "")
    except (UserError, OSError):
        return False
    return bool({*FILE_MODALITIES, *TEXTS} & set(named))


def _has_table(folder: Path) -> bool:
    """Whether a folder has exactly one ``metadata`` table."""
    try:
        return find(str(folder), "").is_file()
    except (UserError, OSError):
        return False


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(islice(folder.iterdir(), LOOKED_AT))
    except OSError:
        return []


def _folders(path: Path) -> Iterator[Path]:
    """Yield the folders in a folder, except hidden ones and those that macOS adds to archives."""
    yield from (
        p for p in _entries(path) if p.is_dir() and not p.name.startswith((".", "__MACOSX"))
    )


def _holds(folder: Path, modalities: Collection[str]) -> bool:
    """Whether a folder directly contains files of some modalities."""
    return any(
        MODALITY_OF_SUFFIX.get(p.suffix.lower()) in modalities
        for p in _entries(folder)
        if p.is_file()
    )
