"""Paired differences as tables: for HTML, for the terminal, and as CSV."""

import csv
import io
from collections.abc import Iterable
from typing import Any

from rich.table import Table

from mmml.reporting import cells as show
from mmml.reporting.cells import Cell
from mmml.reporting.tables import Pivot, Row, drawn

PLACE = ("task", "mapping", "ways", "shots", "step", "metric", "higher_is_better")
COLUMNS = (*PLACE, "a", "b", "mean", "ci95", "ci95_classes", "clear", "episodes")


def difference_pivots(differences: list[Cell], panel: list[Cell]) -> list[Pivot]:
    """One table for each task and metric; rows ordered by mapping, ``a − b``.

    Args:
        differences: of a ``result.json``.
        panel: of the same; says which predictors are transductive.
    """
    names = {c["predictor"]: show.predictor(c) for c in panel if not c.get("subset")}
    kinds = dict.fromkeys((d["task"], d["metric"]) for d in differences)
    columns = list(dict.fromkeys(map(show.column, [*panel, *differences])))
    return [_pivot([d for d in differences if (d["task"], d["metric"]) == kind], names, columns) for kind in kinds]


def _pivot(cells: list[Cell], names: dict[str, str], every_column: list[str]) -> Pivot:
    known, pairs = set(map(show.column, cells)), list(dict.fromkeys((d["a"], d["b"]) for d in cells))
    columns = [column for column in every_column if column in known]
    minuends = list(dict.fromkeys(a for a, _ in pairs))
    rows = []
    for mapping in dict.fromkeys(map(show.mapping, cells)):
        for a, b in pairs:
            found = {show.column(d): d for d in cells if (show.mapping(d), d["a"], d["b"]) == (mapping, a, b)}
            if found:
                less = names.get(b, b)  # which may name another mapping besides
                name = f"− {less}" if len(minuends) == 1 else f"{names[a]} − {less}"
                rows.append(Row(mapping, name, False, [found.get(c) for c in columns]))
    second = names[minuends[0]] if len(minuends) == 1 else "a − b"
    return Pivot(_title(cells[0]), "problems" if show.is_problem(cells[0]) else "support:query", columns, rows, second)


def _title(first: Cell) -> str:
    side, unit = "above" if first["higher_is_better"] else "below", " %" if first["percent"] else ""
    return (
        f"{first['task']}, {first['split']} split: difference in {first['metric']}{unit} ± 95 % interval, "
        f"{first['episodes']} paired {show.played(first)}; {side} 0 the first is better"
    )


def difference_tables(differences: list[Cell], panel: list[Cell]) -> Iterable[Table]:
    """For a terminal of 80 columns or more: those to the first predictor, each marked if its interval excludes 0."""
    of_first = [d for d in differences if d["a"] == differences[0]["a"]]
    for pivot in difference_pivots(of_first, panel):
        pivot.title += ", * where the interval excludes 0"
        yield drawn(pivot, _marked)


def _marked(cell: Cell | None) -> str:
    return ("*" if show.verdict(cell) else "") + show.difference(cell)  # in front, where it moves no digit


def as_csv(differences: list[Cell]) -> str:
    """A line for each difference, as numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for cell in differences:
        values: dict[str, Any] = cell | {"mapping": show.mapping(cell)}
        writer.writerow([values.get(c) for c in COLUMNS])
    return out.getvalue()
