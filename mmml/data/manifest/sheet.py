"""A table before interpretation: columns of texts, and of lists of texts.

Values are not converted: ``007``, ``2021-01-01`` and 12345678901234567890 stay unchanged. NaN, null
and empty all mean missing. Everything is in columnar memory (Apache Arrow): a million rows take
about 100 MB.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import pyarrow as pa

T = TypeVar("T")

ROWS = 65_536  # rows that are converted to columns at a time
TEXT, LIST = pa.large_string(), pa.list_(pa.large_string())


@dataclass
class Sheet:
    """The content of a file or folder, before its columns are interpreted.

    Attributes:
        table: columns of texts (``large_string``) or of lists of texts, null where a value is
            missing.
        problems: why a row cannot be used, by its position from 0.
        left_out: how many rows or files were skipped, by the reason.
        notes: further remarks, in one sentence each.
        decimal: the decimal separator of numbers.
    """

    table: pa.Table
    problems: dict[int, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    decimal: str = "."


def portions(items: Iterable[T], size: int = ROWS) -> Iterator[list[T]]:
    """Yield lists of ``size`` items."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


def assemble(parts: Iterable[Mapping[str, Sequence[Any]]]) -> pa.Table:
    """Concatenate tables.

    Args:
        parts: columns of texts, lists of texts and None, by name; a column that a part lacks is
            missing there.
    """
    tables = [pa.table({name: _array(cells) for name, cells in part.items()}) for part in parts]
    names = dict.fromkeys(name for table in tables for name in table.column_names)
    return pa.table({name: _joined([_part(table, name) for table in tables]) for name in names})


def _array(cells: Sequence[Any]) -> pa.Array:
    if any(isinstance(cell, list) for cell in cells):
        return pa.array(
            [cell if cell is None or isinstance(cell, list) else [cell] for cell in cells], LIST
        )
    return pa.array(cells, TEXT)


def _part(table: pa.Table, name: str) -> pa.Array:
    return (
        table[name].combine_chunks() if name in table.column_names else pa.nulls(len(table), TEXT)
    )


def _joined(parts: list[pa.Array]) -> pa.ChunkedArray:
    """Concatenate arrays; texts become lists if any part has lists."""
    kind = LIST if any(part.type == LIST for part in parts) else TEXT
    lists = [
        part if part.type == kind else pa.array([c and [c] for c in part.to_pylist()], kind)
        for part in parts
    ]
    return pa.chunked_array(lists, kind)
