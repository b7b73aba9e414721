"""Formats of a table: CSV as programs and spreadsheets write it, JSON lines and Parquet."""

import datetime
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from manifests.cells import LONE_QUOTES, Draw
from manifests.columns import Column, Table
from manifests.media import MAKERS

Said = str | list[str] | None
"""The content of a cell as text: one value, several values, or nothing."""

ENCODINGS = (*["utf-8"] * 6, *["utf-8-sig", "utf-16"] * 2, "utf-16-le", "latin-1")
NOTHING = ("", "", "", "NaN", "nan", "null", "NULL", "NaT", "<NA>", "#N/A", r"\N")
VECTORS: tuple[tuple[Any, list[str]], ...] = (
    (0.5, []),
    (2, []),
    (1e300, []),
    (None, ["vectors"]),
    ("a", ["vectors"]),
)
TRUTH = {True: "true", False: "false"}


@dataclass
class Case:
    """A manifest, and the content that mmml must read from it.

    Attributes:
        root: the file, or its folder.
        how: the format in words.
        rows: number of rows in the file, with empty rows.
        cells: the content of each row that has a value, by meaning.
        columns: the headers of columns that an option must name, by meaning.
        features: the file name of a matrix beside the table.
        flaws: patterns of the messages with which mmml may refuse the manifest.
        damaged: whether unclosed quotation marks may merge rows, if mmml reports it.
        skip: whether rows that cannot be used are to be left out.
        sorted: whether mmml must keep the order of the rows.
    """

    root: Path
    how: str
    rows: int
    cells: dict[str, list[Said]]
    columns: dict[str, str] = field(default_factory=dict)
    features: str | None = None
    flaws: list[str] = field(default_factory=list)
    damaged: bool = False
    skip: bool = False
    sorted: bool = True


def write(draw: Draw, table: Table) -> Case:
    """Write a table in one of the formats, with one of the file names that mmml finds."""
    form = draw.choice([csv, csv, csv, jsonl, parquet])
    case = form(draw, table)
    known = {
        c.meaning for c in table.columns if c.meaning and any(has(v) for v in case.cells[c.meaning])
    }
    if not known & {*MAKERS, "text", "source_text"} and table.features is None:
        case.flaws.append("has no column with a modality")
    if not any(has(v) for values in case.cells.values() for v in values):
        case.flaws.append("has no rows|has no column with a modality")
    case.skip = draw.random() < 0.7
    case.columns, case.features = table.renamed, table.features
    case.flaws += table.flaws
    return case


def has(said: Said) -> bool:
    """Whether a cell has a value."""
    return any(map(has, said)) if isinstance(said, list) else bool(said and said.strip())


def named(draw: Draw, table: Table, suffix: str) -> tuple[Path, Path]:
    """Return the file, and the path by which a user names it: the file itself or its folder."""
    found = draw.random() < 0.5
    name = (
        draw.choice(["metadata", "Metadata"])
        if found
        else draw.choice(["t", "my table", "a=b", "[x]"])
    )
    path = table.folder / f"{name}{draw.choice([suffix, suffix, suffix.upper()])}"
    return path, table.folder if found and draw.random() < 0.7 else path


def csv(draw: Draw, table: Table) -> Case:
    """Write a table as CSV."""
    delimiter = draw.choice(",,;\t|")
    quoting = draw.choice(["few", "few", "all", "lone", "formula"])
    encoding, end = draw.choice(ENCODINGS), draw.choice(["\n", "\r\n"])
    path, root = named(draw, table, draw.choice([".csv", ".csv", ".tsv"]))
    texts = [c for c in table.columns if c.meaning == "text"]
    damaged = quoting == "lone" and bool(texts) and table.count > 0
    if damaged:
        texts[0].cells = [
            draw.choice(LONE_QUOTES) if draw.random() < 0.15 else c for c in texts[0].cells
        ]
    said = {c.header: [as_written(cell) for cell in c.cells] for c in table.columns}
    said = {
        n: [c if not isinstance(c, list) else joined(c) for c in cells] for n, cells in said.items()
    }
    nothing = draw.choice(NOTHING)
    rows = [
        [nothing if c is None else c for c in row] for row in zip(*said.values(), strict=True)
    ] or []
    headers = [c.header for c in table.columns]
    if draw.random() < 0.15:
        headers, rows = [*headers, "", ""], [[*row, "", ""] for row in rows]
    kept = [i for i, row in enumerate(rows) if any(row) or len(headers) == 1]
    rows = [
        row
        for row in rows
        for row in [row] + [[""] * len(row)] * (len(row) > 1 and draw.random() < 0.05)
    ]
    lines = [
        delimiter.join(quoted(cell, delimiter, quoting) for cell in row) for row in [headers, *rows]
    ]
    if draw.random() < 0.1 and delimiter in ",;|":
        lines.insert(0, f"sep={delimiter}")
    full = end.join(lines) + end * draw.choice([0, 1, 1, 1, 3])
    flaws = flaws_of(full, encoding, damaged, sum(map(bool, headers)) < 2)
    try:
        content = full.encode(encoding)
    except UnicodeEncodeError:
        content = full.encode("utf-8")
    path.write_bytes(content)
    decimal = "," if delimiter == ";" else "."
    cells = {
        c.meaning: [read_csv_cell(said[c.header][i], c, decimal) for i in kept]
        for c in table.columns
        if c.meaning
    }
    how = (
        f"{path.name}, {delimiter!r}, {encoding}, quotes {quoting}, "
        f"{'CRLF' if len(end) > 1 else 'LF'}"
    )
    return Case(root, how, len(rows), cells, flaws=flaws, damaged=damaged)


def flaws_of(full: str, encoding: str, damaged: bool, single: bool) -> list[str]:
    """Return patterns of the messages with which mmml may refuse such a file."""
    flaws = (
        ["UTF"] if encoding == "utf-16-le" or (encoding == "latin-1" and not full.isascii()) else []
    )
    flaws += ["cannot be read as a row|cells where the header"] if damaged else []
    # A table with a single column: a delimiter in a text may look like two columns.
    return flaws + (["cells where the header|is empty"] if single else [])


def joined(several: list[str]) -> str | None:
    """Join several file names in one cell."""
    return ";".join(several) or None


def read_csv_cell(said: str | None, column: Column, decimal: str) -> Said:
    """Return the content that mmml must read from a cell; several files are recognised by the
    header.
    """
    if (
        said is not None
        and column.meaning in MAKERS
        and column.header.strip().lower().endswith("names")
    ):
        return [s.strip() for s in said.split(";") if s.strip()]
    return said.replace(decimal, ".") if said is not None and column.meaning == "score" else said


def quoted(cell: str, delimiter: str, quoting: str) -> str:
    """Return a cell with the quotation marks of the dialect."""
    inside = any(mark in cell for mark in (delimiter, "\n", "\r"))
    if quoting == "lone" and not inside:
        return cell
    if quoting == "formula" and cell.isascii() and cell.isdigit():
        return '"=""' + cell + '"""'
    if quoting == "all" or inside or cell.startswith('"'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def as_written(value: Any) -> Said:
    """Return a value as a program writes it into a text file."""
    if isinstance(value, list):
        return [str(v) for v in value]
    return None if value is None else str(value)


def jsonl(draw: Draw, table: Table) -> Case:
    """Write a table as JSON lines, one object for each row."""
    path, root = named(draw, table, draw.choice([".jsonl", ".ndjson"]))
    escape, rows = draw.random() < 0.5, []
    for cells in zip(*(c.cells for c in table.columns), strict=True):
        row = {
            c.header: v
            for c, v in zip(table.columns, cells, strict=True)
            if v is not None or draw.random() < 0.5
        }
        rows.append(
            {k: float("nan") if v is None and draw.random() < 0.3 else v for k, v in row.items()}
        )
    lines = [
        json.dumps(row, ensure_ascii=escape, default=str) + "\n" * draw.choice([1, 1, 1, 2])
        for row in rows
    ]
    path.write_text("".join(lines), encoding=draw.choice(["utf-8", "utf-8-sig"]))
    cells = {c.meaning: [as_json(v) for v in c.cells] for c in table.columns if c.meaning}
    # No line may have the key of an empty column.
    flaws = ["has no such column"] if any(not any(c.cells) for c in table.columns) else []
    return Case(root, path.name, len(rows), cells, flaws=flaws)


def as_json(value: Any) -> Said:
    """Return the content of a JSON value."""
    if isinstance(value, bool):
        return TRUTH[value]
    return as_written(value)


def parquet(draw: Draw, table: Table) -> Case:
    """Write a table as Parquet, whose columns have types."""
    path, root = named(draw, table, ".parquet")
    arrays = {c.header: column_of(draw, c.cells) for c in table.columns}
    said = {
        c.meaning: [TYPES.get(type(v), as_written)(v) for v in arrays[c.header].to_pylist()]
        for c in table.columns
    }
    combined = pa.table(arrays)
    if draw.random() < 0.15 and table.features is None and "features" not in said:
        value, flaws = draw.choice(VECTORS)
        combined = combined.append_column(
            "features", pa.array([[value] * 4 for _ in range(table.count)])
        )
        table.flaws += flaws
    pq.write_table(combined, path, row_group_size=draw.choice([2, 1000]))
    return Case(
        root,
        f"{path.name}, {combined.schema.types}",
        table.count,
        {m: v for m, v in said.items() if m},
    )


TYPES: dict[type, Callable[[Any], Said]] = {
    bool: lambda v: TRUTH[v],
    datetime.datetime: lambda v: f"{v}.000000",
}


def column_of(draw: Draw, cells: list[Any]) -> pa.Array:
    """Return cells as an array of one type, sometimes dictionary-encoded."""
    try:
        array = pa.array(cells)
    except (pa.ArrowException, OverflowError):
        lists = any(isinstance(c, list) for c in cells)
        texts = [as_written(c) for c in cells]
        array = pa.array([[c] if lists and isinstance(c, str) else c for c in texts])
    return array.dictionary_encode() if array.type == pa.string() and draw.random() < 0.3 else array
