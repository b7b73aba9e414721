"""CSV files as spreadsheets and programs write them, with commas, semicolons, tabs or bars as
delimiters.
"""

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
# Words that programs write for missing values.
MISSING = ("NaN", "nan", "null", "NULL", "NAN", "-nan", "NaT", "<NA>", "#N/A", r"\N")
FORMULA = r'(?s)^="(.*)"$'  # a formula that makes a spreadsheet keep 007 as a text
SPACED = r'(?s)^ +"([^"]*)" *$'  # a quoted cell in files with a space after each delimiter
SEPARATOR = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)  # a first line for spreadsheets
NAME, NUMBER = r"\.[A-Za-z]\w{1,4}$", r"^[+-]?\d+([.,]\d+)?$"
KINDS = (NAME, NUMBER)  # kinds of cells: file names, numbers
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def read_csv(path: Path) -> Sheet:
    """Read a CSV file as texts. Quoted cells may contain delimiters, line breaks, and doubled
    quotation marks.

    The encoding is UTF-8, or UTF-16 with a byte order mark. Lines without any value are skipped.

    Raises:
        UserError: a line cannot be read as a row; the message names it.
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
        """The number of the last line that was read, from 1."""
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
        """Yield rows with a cell for each column."""
        width, number, gap = len(self.names), 0, 0
        while True:
            start = self.line + 1
            if (cells := self._next()) is None:
                return
            if not any(cells) and width > 1:
                self.left_out["without any value"] += bool(cells)
            elif width > 1 and _names(cells) == self.names:  # where files were concatenated
                self.left_out["repeating the header"] += 1
            elif not cells:  # with one column, an empty line is a row unless it is the last
                gap += 1
            else:
                yield from ([""] for _ in range(gap))
                number, gap = number + gap, 0
                # No value may follow the last column. In a table of one column, "yes," is
                # a text with an unquoted comma, and is refused.
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
    """Return the names of columns, without a byte order mark, and without quotation marks that
    follow a space.
    """
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
    """Whether a column has a name or any value; spreadsheets write empty columns after the last
    one.
    """
    return not name.startswith("column ") or values.null_count < len(values)


def _meant(cells: pa.ChunkedArray) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """Return the values of cells, with None for missing ones, and the words for missing values that
    were found.
    """
    for pattern in (FORMULA, SPACED):
        cells = pc.replace_substring_regex(cells, pattern, r"\1")
    words = pc.utf8_trim_whitespace(cells)
    spelt = pc.is_in(words, pa.array(MISSING, cells.type))
    return pc.if_else(pc.or_(spelt, pc.equal(cells, "")), None, cells), words.filter(spelt)


def _kinds(table: pa.Table) -> dict[int, str]:
    """Return the pattern of ``KINDS`` that all cells of a column match, by the position of the
    column; columns of other texts are left out.
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
    """Return why a row over several lines is suspect, or None: the further lines of one of its
    cells look like rows of the table.
    """
    width, (first, last) = len(lines.names), lines.several[row]
    for column, name in enumerate(lines.names):
        parts = re.split(r"\r\n|\r|\n", table[name][row].as_py())
        begun, *found = (cells or [""] for cells in csv.reader(parts, delimiter=lines.delimiter))
        middle = [cells for cells in found[:-1] if any(cells)]
        shaped = found and all(len(c) == width for c in middle) and len(found[-1]) == column + 1
        own = [""] * column + begun  # the row, if the cell should have ended on its first line
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
    """Whether any of these cells, outside of ``column``, occurs elsewhere in its own column of the
    table.
    """
    return any(
        i != column and cell and pc.index(table[i], pa.scalar(cell, table[i].type)).as_py() >= 0
        for i, cell in enumerate(cells)
    )


def _is_alike(cells: list[str], column: int, kinds: dict[int, str]) -> bool:
    """Whether the cells outside of ``column`` match the kinds of their columns; at least one must
    have a kind.
    """
    alike = [
        re.search(kinds[i], cell) for i, cell in enumerate(cells) if i != column and i in kinds
    ]
    # A decimal number such as 5,99 in a text is no sign of a row.
    decimal = re.search(r"\d$", cells[column]) and re.match(r"\d", "".join(cells[column + 1 :]))
    return bool(alike) and all(alike) and not decimal


def _undecodable(path: Path) -> str:
    """The first line that is not UTF-8, for a message."""
    with path.open("rb") as binary:
        for number, line in enumerate(binary):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return f"line {number + 1}"
    return "it"
