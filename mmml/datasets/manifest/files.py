"""Finding the rows: ``metadata.csv``, ``.jsonl`` or ``.parquet``, or plain class folders → one table of texts.

Everything stays in columnar memory (Apache Arrow): a million rows are some 100 MB.
"""

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from mmml.errors import UserError

NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
SPLIT_NAMES = {"train": "train", "val": "val", "validation": "val", "valid": "val", "dev": "val", "test": "test"}
SUFFIXES = {
    "image": ".png .jpg .jpeg .webp .gif .bmp .pgm .ppm .tif .tiff",
    "audio": ".wav .flac .mp3 .ogg .m4a",
    "video": ".mp4 .mkv .webm .avi .mov",
    "strokes": ".json",
    "features": ".npy",
}
MODALITY_OF_SUFFIX = {suffix: modality for modality, several in SUFFIXES.items() for suffix in several.split()}
VECTORS = "features"  # the column of a Parquet file that holds them
CELL = 1 << 20  # bytes that one cell may hold
BLOCK = 16 << 20  # bytes read at a time; a row must fit


def find(root: str, option: str) -> Path:
    """The manifest that a path means: the file itself, the one in a folder, or the folder if it has none.

    Raises:
        UserError: there is nothing, or there are several.
    """
    path = Path(root).expanduser().absolute()
    if not path.exists():
        raise UserError(f"{option}={root}: there is no such file or folder")
    if path.is_file():
        if path.suffix not in (".csv", ".jsonl", ".parquet"):
            raise UserError(f"{option}={root}: a manifest is a .csv, .jsonl or .parquet file, or a folder")
        return path
    found = [path / name for name in NAMES if (path / name).exists()]
    if len(found) > 1:
        raise UserError(f"{option}={root} has {found[0].name} and {found[1].name}; name the file to be read")
    return found[0] if found else path


def read(path: Path, option: str) -> pa.Table:
    """All rows, texts and numbers as they stand; lists and vectors of JSON and Parquet are kept.

    Args:
        path: what :func:`find` returned.
        option: what named it, for messages.

    Raises:
        UserError: naming the row where the file cannot be understood.
    """
    if path.is_dir():
        return read_folders(path, option)
    try:
        table = {".csv": read_csv, ".jsonl": read_jsonl, ".parquet": read_parquet}[path.suffix](path)
    except (pa.ArrowException, OSError, MemoryError) as error:
        raise UserError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from None
    if table.num_rows == 0:
        raise UserError(f"{path} has no rows")
    return table


def read_csv(path: Path) -> pa.Table:
    """Texts only; quoted cells may hold commas and line breaks."""
    from pyarrow import csv as arrow

    names = _header(path)
    try:
        table = arrow.read_csv(
            path,
            read_options=arrow.ReadOptions(block_size=BLOCK, column_names=names, skip_rows=1),
            # An empty line is a row only where a row is one cell.
            parse_options=arrow.ParseOptions(newlines_in_values=True, ignore_empty_lines=len(names) > 1),
            convert_options=arrow.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
        )
        last = len(table) - 1
        while len(names) == 1 and last >= 0 and not table[0][last].as_py():  # empty lines at the end are no rows
            last -= 1
        return table.slice(0, last + 1)
    except pa.ArrowException as error:
        _explain_csv(path, len(names))
        raise error


def _header(path: Path) -> list[str]:
    """The names of the columns."""
    try:
        with path.open("rb") as file:
            names = next(csv.reader([file.readline(CELL).decode("utf-8-sig")], strict=True), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: the header cannot be read as CSV in UTF-8 ({error})") from None
    names = [n.strip() for n in names]
    if not any(names):
        raise UserError(f"{path} is empty: its first line must name the columns")
    if len(names) == 1 and any(sign in names[0] for sign in ";\t|"):
        raise UserError(f"{path}: its cells are not separated by commas ({names[0][:60]!r}); save it with commas")
    twice = {n for n in names if names.count(n) > 1}
    if twice:
        raise UserError(f"{path}: the header names column {sorted(twice)[0]!r} twice")
    return names


def _explain_csv(path: Path, columns: int) -> None:
    """Read slowly what could not be read fast, to name the row at fault."""
    with path.open("rb") as binary:
        for number, line in enumerate(binary):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                raise UserError(f"{path}: line {number + 1} is not UTF-8; save the file as UTF-8") from None
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            for number, cells in enumerate(reader):
                if cells and len(cells) != columns:
                    raise UserError(
                        f"{path}: row {number} (line {reader.line_num}) has {len(cells)} cells where the header "
                        f"names {columns}; quote a cell that holds a comma, and double a quotation mark within quotes"
                    )
        except csv.Error as error:
            why = f"over {csv.field_size_limit()} characters in one cell" if "field larger" in str(error) else error
            raise UserError(
                f"{path}: line {reader.line_num} cannot be read ({why}); is a quotation mark not closed?"
            ) from None


def read_jsonl(path: Path) -> pa.Table:
    """One JSON object a line; keys that some lines lack are empty there."""
    from pyarrow import json as arrow

    with path.open("rb") as file:
        marked = file.read(3) == b"\xef\xbb\xbf"  # Arrow does not know this mark
    try:
        if marked:
            raise pa.ArrowInvalid("byte order mark")
        table = arrow.read_json(path, read_options=arrow.ReadOptions(block_size=BLOCK))
        table.validate(full=True)  # also that texts are UTF-8
        return table
    except pa.ArrowException:
        return _read_jsonl_slowly(path)


def _read_jsonl_slowly(path: Path) -> pa.Table:
    """Line by line, so that mixed types are taken as texts and the line at fault can be named."""
    rows: list[dict[str, Any]] = []
    with path.open("rb") as file:
        for number, line in enumerate(file):
            where = f"{path}: line {number + 1}"
            try:
                text = line.decode("utf-8-sig" if number == 0 else "utf-8")
                row = json.loads(text) if text.strip() else None
            except UnicodeDecodeError:
                raise UserError(f"{where} is not UTF-8; save the file as UTF-8") from None
            except (ValueError, RecursionError) as error:
                raise UserError(f"{where} is no JSON ({str(error)[:100]})") from None
            if row is not None and not isinstance(row, dict):
                raise UserError(f'{where} is no JSON object: write {{"label": …, …}}')
            if row is not None:
                rows.append(row)
    names = list(dict.fromkeys(k for row in rows for k in row))
    return pa.table({n: _column([row.get(n) for row in rows]) for n in names})


def _column(values: list[Any]) -> pa.Array:
    """Lists as lists, everything else as text."""
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array([None if v is None else v if isinstance(v, str) else json.dumps(v) for v in values])


def read_parquet(path: Path) -> pa.Table:
    """All columns but a vector column ``features``, which :mod:`mmml.datasets.manifest.features` reads in parts."""
    import pyarrow.parquet as pq

    names = pq.read_schema(path).names
    return pq.read_table(path, columns=[n for n in names if n != VECTORS])


def has_vectors(path: Path) -> bool:
    """Whether a manifest is a Parquet file with a vector column."""
    import pyarrow.parquet as pq

    return path.suffix == ".parquet" and VECTORS in pq.read_schema(path).names


def read_folders(path: Path, option: str) -> pa.Table:
    """``train/cat/1.png`` or ``cat/1.png``: the folder is the label, the suffix tells the modality.

    A file that lies in no folder has no label.
    """
    folders = [p for p in sorted(path.iterdir()) if p.is_dir() and not p.name.startswith(".")]
    # A class may be called "train", too; but then its folder stands among others, or holds files.
    splits = [p for p in folders if p.name in SPLIT_NAMES]
    nested = any(c.is_dir() for p in splits for c in p.iterdir())
    if nested and not any(_labelled(path, p, {}) for p in folders if p not in splits):
        rows = [row for p in splits for row in _labelled(path, p, {"split": p.name})]
    else:
        rows = _labelled(path, path, {})
    if not rows:
        tables = sorted(p.name for p in path.iterdir() if p.suffix in (".csv", ".jsonl", ".parquet"))
        hint = f"; name the table: {option}={path / tables[0]}" if tables else ""
        raise UserError(
            f"{option}={path} has neither {', '.join(NAMES)} nor media files, nor folders of them for each class{hint}"
        )
    names = list(dict.fromkeys(k for row in rows for k in row))
    return pa.table({n: [row.get(n) for row in rows] for n in names})


def _labelled(path: Path, top: Path, also: dict[str, str]) -> list[dict[str, str]]:
    """A row for each media file below ``top``, its name relative to ``path``."""
    rows = []
    for name in _files_below(top):
        modality, folders = MODALITY_OF_SUFFIX.get(name.suffix.lower()), name.relative_to(top).parts[:-1]
        if modality is not None:
            label = {"label": folders[0]} if folders else {}
            rows.append({f"{modality}_file_name": str(name.relative_to(path)), **label, **also})
    return rows


def _files_below(folder: Path) -> Iterator[Path]:
    seen: set[Path] = set()  # links may lead in a circle
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and Path(place, f).resolve() not in seen)
        seen |= {Path(place, f).resolve() for f in folders}
        yield from (Path(place) / n for n in sorted(names) if not n.startswith("."))
