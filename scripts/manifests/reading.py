"""Checks that the rows and values that mmml reads are those that were written."""

import math
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np

from manifests.dialects import Case, Said, has
from manifests.media import MAKERS
from mmml.data.manifest import ManifestRows

SPLITS = {
    "train": "train training",
    "val": "val valid validation dev development",
    "test": "test testing",
}
UNSEEN = re.compile("[\u200b\u2060\ufeff]")
SHOWN = 60
LONG = 255  # maximum number of characters of a file name


def lost_rows(case: Case, rows: ManifestRows) -> Iterator[str]:
    """Yield messages about rows and values that are missing or differ from what was written."""
    read, left_out = len(np.unique(rows.origin)), sum(rows.left_out.values())
    if read + left_out != case.rows:
        if case.damaged and any("quotation mark" in why for why in rows.problems.values()):
            return
        yield f"{case.rows} rows in the file, {read} read, {left_out} left out ({rows.left_out})"
        return
    if sum(int(n) for n in re.findall(r"(?:left out:|,) (\d+) ", rows.count())) != left_out:
        yield f"the line says nothing of {left_out} rows: {rows.count()}"
    if case.sorted and not case.damaged:
        wanted = [
            max([1, *map(several, row)])
            for row in zip(*case.cells.values(), [None] * read, strict=True)
        ]
        if (counts := np.bincount(rows.origin).tolist()) != wanted:
            yield f"rows hold {short(wanted)} things, of which {short(counts)} were read"
        for meaning, written in case.cells.items():
            if meaning != "id" or any(map(has, written)):  # else mmml makes ids
                yield from changed(meaning, written, rows)
    elif not case.sorted:
        yield from changed_files(case, rows)


def several(said: Said) -> int:
    """Return the number of values of a list; 0 if the cell is no list."""
    return len(said) if isinstance(said, list) else 0


def changed(meaning: str, written: list[Said], rows: ManifestRows) -> Iterator[str]:
    """Yield a message about the first value of a column that was read differently."""
    found: list[Any] = rows.column(meaning).to_pylist() if rows.has(meaning) else [None] * len(rows)
    for place, position in enumerate(positions(rows)):
        origin = int(rows.origin[place])
        wanted = meant(meaning, one_of(written[origin], position), rows)
        value = found[place]
        if meaning == "id" and value not in (None, wanted):
            value = re.sub(r"#\d+$", "", value)
        if value != wanted:
            yield (
                f"{meaning} of row {origin + 1} was written {short(written[origin])} and read "
                f"{short(found[place])}"
            )
            return


def short(value: Any) -> str:
    """Return a shortened value for a message."""
    text = ascii(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)})"


def positions(rows: ManifestRows) -> list[int]:
    """Return, for each row, the number of earlier rows from the same origin."""
    counts: dict[int, int] = {}
    found = []
    for origin in rows.origin.tolist():
        found.append(counts.get(origin, 0))
        counts[origin] = found[-1] + 1
    return found


def one_of(said: Said, position: int) -> str | None:
    """Return the content of one of the rows that come from a cell; a single value belongs to all of
    them.
    """
    if not isinstance(said, list):
        return said
    return said[0] if len(said) == 1 else said[position] if position < len(said) else None


def meant(meaning: str, said: str | None, rows: ManifestRows) -> Any:
    """Return the value that mmml must read from a cell."""
    if said is None or not said.strip():
        return None
    if meaning in ("label", "group", "domain"):
        plain = UNSEEN.sub("", unicodedata.normalize("NFC", said)).replace("\u00a0", " ")
        return plain.strip() or None
    if meaning == "split":
        return next((s for s, ways in SPLITS.items() if said.strip().lower() in ways.split()), None)
    if meaning == "score":
        return number(said)
    if meaning in MAKERS and (len(said) > LONG or not (rows.folder / said).is_file()):
        return said.strip()
    return said


def number(said: str) -> float | None:
    """Return a finite number in ASCII digits within the range of float32, else None."""
    try:
        value = (
            float(said) if said.isascii() and not re.search(r"_|e[+-]?\d{3}", said) else math.nan
        )
    except ValueError:
        return None
    return value if abs(value) <= float(np.finfo(np.float32).max) else None


def changed_files(case: Case, rows: ManifestRows) -> Iterator[str]:
    """Yield a message if the files of class folders differ, in any order."""
    names = [n for n, values in case.cells.items() if any(values)]
    wanted = sorted(zip(*(map(str, case.cells[n]) for n in names), strict=True))
    found = sorted(
        zip(*(map(str, rows.column(n).to_pylist()) for n in names if rows.has(n)), strict=True)
    )
    if wanted != found:
        yield f"files were read otherwise than they lie there: {short(set(wanted) ^ set(found))}"
