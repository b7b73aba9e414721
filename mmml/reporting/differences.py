"""Paired differences as tables, for HTML and for the terminal."""

from collections.abc import Iterable

from rich.table import Table

from mmml.reporting import rows as show
from mmml.reporting.rows import Row
from mmml.reporting.tables import Line, Pivot, drawn


def difference_pivots(differences: list[Row], results: list[Row]) -> list[Pivot]:
    """Return one table for each task and metric; lines are ordered by mapping.

    Args:
        differences: of a ``result.json``.
        results: of the same ``result.json``; they say which predictors are transductive.
    """
    names = {c["predictor"]: show.predictor(c) for c in results if not c.get("subset")}
    kinds = dict.fromkeys((d["task"], d["metric"]) for d in differences)
    columns = list(dict.fromkeys(map(show.column, [*results, *differences])))
    return [
        _pivot([d for d in differences if (d["task"], d["metric"]) == kind], names, columns)
        for kind in kinds
    ]


def _pivot(cells: list[Row], names: dict[str, str], every_column: list[str]) -> Pivot:
    known = set(map(show.column, cells))
    pairs = list(dict.fromkeys((d["predictor"], d["minus"]) for d in cells))
    columns = [column for column in every_column if column in known]
    minuends = list(dict.fromkeys(a for a, _ in pairs))
    rows = []
    for mapping in dict.fromkeys(map(show.mapping, cells)):
        for a, b in pairs:
            found = {
                show.column(d): d
                for d in cells
                if (show.mapping(d), d["predictor"], d["minus"]) == (mapping, a, b)
            }
            if found:
                less = names.get(b, b)  # its name may also contain another mapping
                name = f"− {less}" if len(minuends) == 1 else f"{names[a]} − {less}"
                rows.append(Line(mapping, name, False, [found.get(c) for c in columns]))
    second = names[minuends[0]] if len(minuends) == 1 else "a − b"
    return Pivot(
        _title(cells[0]),
        "problems" if show.is_problem(cells[0]) else "support:query",
        columns,
        rows,
        second,
    )


def _title(first: Row) -> str:
    side, unit = "above" if first["higher_is_better"] else "below", " %" if first["percent"] else ""
    return (
        f"{first['task']}, {first['split']} split: difference in {first['metric']}{unit} ± 95 % "
        f"interval, {first['n']} paired {first['unit']}; {side} 0 the first is better"
    )


def difference_tables(differences: list[Row], results: list[Row]) -> Iterable[Table]:
    """Return tables for a terminal of 80 columns or more: only differences to the first predictor,
    marked if the interval excludes 0.
    """
    of_first = [d for d in differences if d["predictor"] == differences[0]["predictor"]]
    for pivot in difference_pivots(of_first, results):
        pivot.title += ", * where the interval excludes 0"
        yield drawn(pivot, _marked)


def _marked(row: Row | None) -> str:
    # In front of the number, so that digits stay aligned.
    return ("*" if show.verdict(row) else "") + show.difference(row)
