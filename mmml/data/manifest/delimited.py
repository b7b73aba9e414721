"""CSV, as spreadsheets and programs write it: cells between commas, semicolons, tabs or bars."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc

from mmml.data.manifest.sheet import Sheet, assemble, portions
from mmml.errors import UserError, many

DELIMITERS = ",;\t|"
# As programs write what is missing.
MISSING = ("NaN", "nan", "null", "NULL", "NAN", "-nan", "NaT", "<NA>", "#N/A", r"\N")
FORMULA = r'(?s)^="(.*)"$'  # how people make a spreadsheet keep 007 as a text
SPACED = r'(?s)^ +"([^"]*)" *$'  # a cell in quotation marks where a blank follows each delimiter
SEPARATOR = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # a first line that spreadsheets understand
NAME, NUMBER = r"\.[A-Za-z]\w{1,4}$", r"^[+-]?\d+([.,]\d+)?$"
KINDS = (NAME, NUMBER)  # of cells: names of files, numbers
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_csv(path: Path) -> Sheet:
    """Texts only; quoted cells may hold delimiters, line breaks, and quotation marks
    that are doubled.

    UTF-8, or UTF-16 with its mark. Lines without any value are no rows.

    Raises:
        UserError: naming the line that cannot be understood.
    """
    csv.field_size_limit(sys.maxsize)
    with path.open("rb") as file:
        first = file.read(4)
    encoding = "utf-16" if first[:2] in UTF_16 and first[2:] != b"\0\0" else "utf-8-sig"
    if 0 in first and encoding == "utf-8-sig":
        raise UserError(
            f"{path}: it looks like UTF-16 without a byte order mark, or UTF-32; "
            "save the file as UTF-8"
        )
    try:
        with path.open(encoding=encoding, newline="") as text:
            return _sheet(_Lines(path, text))
    except UnicodeError:
        line = _undecodable(path) if encoding == "utf-8-sig" else "it"
        raise UserError(
            f"{path}: {line} is not {encoding.removesuffix('-sig').upper()}; save the file as "
            "UTF-8 (Excel: CSV UTF-8)"
        ) from None


@dataclass
class _Lines:
    """The lines of a file as rows of cells; errors name the line."""

    path: Path
    file: TextIO
    left_out: Counter[str] = field(default_factory=Counter)
    longer: int = 0
    several: dict[int, tuple[int, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        first = self.file.readline()
        stated = SEPARATOR.fullmatch(first)
        self.skipped = 1 if stated else 0
        if not stated:
            self.file.seek(0)
        self.delimiter = (
            stated[1]
            if stated
            else max(DELIMITERS, key=lambda d: len(next(csv.reader([first], delimiter=d), [])))
        )
        self.reader = csv.reader(self.file, delimiter=self.delimiter, strict=True)
        self.names = self._header()

    @property
    def line(self) -> int:
        """The last line that was read, from 1."""
        return self.reader.line_num + self.skipped

    def _next(self) -> list[str] | None:
        start = self.line + 1
        try:
            return next(self.reader, None)
        except csv.Error as error:
            where = f"line {start}" if self.line == start else f"lines {start} to {self.line}"
            raise UserError(
                f"{self.path}: {where} cannot be read as a row ({error}): a cell that begins "
                "with a quotation mark ends with the next single one; double those within it, "
                "or leave none at its beginning"
            ) from None

    def _header(self) -> list[str]:
        names = _names(self._next() or [])
        if not any(names):
            raise UserError(f"{self.path} is empty: its first line must name the columns")
        if twice := {n for n in names if n and names.count(n) > 1}:
            raise UserError(f"{self.path}: the header names column {sorted(twice)[0]!r} twice")
        return [name or f"column {i + 1}" for i, name in enumerate(names)]

    def rows(self) -> Iterator[list[str]]:
        """Rows with a cell for each column."""
        width, number, gap = len(self.names), 0, 0
        while True:
            start = self.line + 1
            if (cells := self._next()) is None:
                return
            if not any(cells) and width > 1:
                self.left_out["without any value"] += bool(cells)
            elif width > 1 and _names(cells) == self.names:  # as where files were joined
                self.left_out["repeating the header"] += 1
            elif not cells:  # where a row is one cell, an empty line is one, if others follow
                gap += 1
            else:
                yield from ([""] for _ in range(gap))
                number, gap = number + gap, 0
                # Nothing may follow the last column; where a row is one cell, "yes," is
                # a text with a comma.
                if len(cells) < width or any(cells[width:]) or len(cells) > width == 1:
                    raise UserError(
                        f"{self.path}: row {number + 1} (line {start}) has {len(cells)} "
                        f"cells where the header names {width}; quote a cell that holds "
                        f"{self.delimiter!r}, without a blank before the mark, and double "
                        "a quotation mark within quotes"
                    )
                if self.line > start:
                    self.several[number] = (start, self.line)
                self.longer += len(cells) > width
                yield cells[:width]
                number += 1


def _names(cells: list[str]) -> list[str]:
    """The names of columns: without a mark of UTF-8, and without quotation marks behind a blank."""
    return [re.sub(SPACED, r"\1", cell.strip("\ufeff")).strip() for cell in cells]


def _sheet(lines: _Lines) -> Sheet:
    parts = (
        dict(zip(lines.names, zip(*some, strict=True), strict=True))
        for some in portions(lines.rows())
    )
    table = assemble(parts)
    sheet = Sheet(table, decimal="," if lines.delimiter == ";" else ".")
    kinds = _kinds(table) if lines.several else {}
    sheet.problems = {i: why for i in lines.several if (why := _swallows(table, i, lines, kinds))}
    cells = {name: _meant(table[name]) for name in table.column_names}
    spelt = [word for _, words in cells.values() for word in words.to_pylist()]
    spaced = sum(
        int(pc.sum(pc.match_substring_regex(column, SPACED)).as_py() or 0)
        for column in table.columns
    )
    sheet.table = pa.table(
        {name: values for name, (values, _) in cells.items() if _is_column(name, values)}
    )
    sheet.left_out = dict(+lines.left_out)
    if lines.longer:
        sheet.notes.append(f"empty cells after the last column in {many(lines.longer, 'row')}")
    if spaced:
        sheet.notes.append(
            f"{many(spaced, 'cell')} in quotation marks after a space, read without both"
        )
    if spelt:
        words = ", ".join(dict.fromkeys(spelt))
        sheet.notes.append(f"{words} in {many(len(spelt), 'cell')}, taken as missing")
    return sheet


def _is_column(name: str, values: pa.ChunkedArray) -> bool:
    """Whether a column has a name or any value: spreadsheets write empty ones after the last."""
    return not name.startswith("column ") or values.null_count < len(values)


def _meant(cells: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The values of cells, and the words in those that spell out that a value is missing."""
    for pattern in (FORMULA, SPACED):
        cells = pc.replace_substring_regex(cells, pattern, r"\1")
    words = pc.utf8_trim_whitespace(cells)
    spelt = pc.is_in(words, pa.array(MISSING, cells.type))
    return pc.if_else(pc.or_(spelt, pc.equal(cells, "")), None, cells), words.filter(spelt)


def _kinds(table: pa.Table) -> dict[int, str]:
    """What all cells of a column are, by its place, where that is more than texts:
    a pattern of ``KINDS``.
    """
    cells = {i: column.filter(pc.not_equal(column, "")) for i, column in enumerate(table.columns)}
    alike = (
        (i, kind)
        for i, column in cells.items()
        for kind in KINDS
        if len(column) and _all_match(column, kind)
    )
    return dict(alike)


def _all_match(cells: pa.ChunkedArray, pattern: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(cells, pattern)).as_py())


def _swallows(table: pa.Table, row: int, lines: _Lines, kinds: dict[int, str]) -> str | None:
    """Why a row over several lines is suspect: further lines in one of its cells look like
    rows of the table.
    """
    width, (first, last) = len(lines.names), lines.several[row]
    for column, name in enumerate(lines.names):
        parts = re.split(r"\r\n|\r|\n", table[name][row].as_py())
        begun, *found = (cells or [""] for cells in csv.reader(parts, delimiter=lines.delimiter))
        middle = [cells for cells in found[:-1] if any(cells)]
        shaped = found and all(len(c) == width for c in middle) and len(found[-1]) == column + 1
        own = [""] * column + begun  # its own row, if the cell should have ended on its first line
        rows = ([own] if len(own) == width else []) + (middle or found)
        certain = kinds if middle else {i: kind for i, kind in kinds.items() if kind == NAME}
        known = shaped and width > 1 and any(_is_known(table, c, column) for c in rows)
        if known or (shaped and all(_is_alike(c, column, certain) for c in middle or found)):
            return (
                f"its {name} (lines {first} to {last} of the file) holds what looks like "
                f"{len(found)} more rows; is the quotation mark at its beginning never closed?"
            )
    return None


def _is_known(table: pa.Table, cells: list[str], column: int) -> bool:
    """Whether another column of the table has some of these cells elsewhere, too."""
    return any(
        i != column and cell and pc.index(table[i], pa.scalar(cell, table[i].type)).as_py() >= 0
        for i, cell in enumerate(cells)
    )


def _is_alike(cells: list[str], column: int, kinds: dict[int, str]) -> bool:
    """Whether the cells beside a place, some at least, are of the kinds that their columns have."""
    alike = [
        re.search(kinds[i], cell) for i, cell in enumerate(cells) if i != column and i in kinds
    ]
    # Such as "it is 5,99".
    decimal = re.search(r"\d$", cells[column]) and re.match(r"\d", "".join(cells[column + 1 :]))
    return bool(alike) and all(alike) and not decimal


def _undecodable(path: Path) -> str:
    """The first line that is not UTF-8."""
    with path.open("rb") as binary:
        for number, line in enumerate(binary):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return f"line {number + 1}"
    return "it"
