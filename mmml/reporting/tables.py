"""Results as tables, for the terminal and for HTML."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mmml.reporting import rows as show
from mmml.reporting.rows import Row

BESIDE = 19  # longest names of predictors that leave room for mappings beside them


@dataclass
class Line:
    """One line of a table: a row of results, or None, for each column."""

    mapping: str
    predictor: str
    baseline: bool
    cells: list[Row | None]


@dataclass
class Pivot:
    """The results of one task and metric, or of a ranking, as a table."""

    title: str
    head: str
    columns: list[str]
    rows: list[Line]
    second: str = "predictor"


def pivots(rows: list[Row]) -> list[Pivot]:
    """Return one table for each evaluator, task and metric, and one for a ranking; lines are
    ordered by mapping, and calibration comes last.
    """
    shown = show.uncorrupted(rows)
    kinds = sorted(dict.fromkeys(map(_kind, shown)), key=lambda kind: kind[0])
    return [_pivot([r for r in shown if _kind(r) == kind]) for kind in kinds]


def _kind(row: Row) -> tuple[bool, str, str, str]:
    return (
        show.is_calibration(row),
        row["evaluator"],
        row["task"],
        "" if show.is_ranking(row) or show.is_problem(row) else row["metric"],
    )


def _pivot(cells: list[Row]) -> Pivot:
    columns = list(dict.fromkeys(map(show.column, cells)))
    predictors = {show.predictor(c): show.is_baseline(c) for c in cells}
    rows = []
    for mapping in dict.fromkeys(map(show.mapping, cells)):
        for predictor, baseline in predictors.items():
            found = {
                show.column(c): c
                for c in cells
                if (show.mapping(c), show.predictor(c)) == (mapping, predictor)
            }
            if found:
                rows.append(Line(mapping, predictor, baseline, [found.get(c) for c in columns]))
    first, number = cells[0], max(c["n"] for c in cells)
    task = first["task"]
    if show.is_ranking(first):
        galleries = "one gallery" if number == 1 else f"mean of {number} galleries"
        what, head = f"rank among all {first['candidates']}, {galleries}", "query → gallery"
    elif show.is_calibration(first):
        task, head = "calibration", "support:query"
        what = (
            "gap between confidence and accuracy % (root mean square, debiased), queries "
            f"of {number} episodes"
        )
    elif show.is_problem(first):
        what, head = f"loss of {number} problems, mean ± 95 % interval and median", "problems"
    else:
        unit = " %" if first["percent"] else ""
        what = f"{first['metric']}{unit} ± 95 % interval, {number} {first['unit']} each"
        head = "support:query"
    return Pivot(f"{task}, {first['split']} split: {what}", head, columns, rows)


def result_tables(results: list[Row]) -> Iterable[Table]:
    """Return tables for a terminal of 80 columns or more."""
    return (drawn(pivot, show.value) for pivot in pivots(results))


def drawn(pivot: Pivot, shown: Callable[[Row | None], str]) -> Table:
    """Return a table for a terminal: mappings are beside the predictors, or above them if names are
    long.
    """
    beside = max(len(name) for name in (pivot.second, *(r.predictor for r in pivot.rows))) <= BESIDE
    table = Table(
        title=pivot.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0
    )
    table.show_edge = False
    if beside:
        table.add_column(pivot.head, no_wrap=True)
    # Names may contain brackets, which rich would read as markup.
    table.add_column(
        Text(pivot.second if beside else f"{pivot.head}\n{pivot.second}"), overflow="fold"
    )
    for column in pivot.columns:
        table.add_column(column.replace(" ", "\n"), justify="right", no_wrap=True)
    before = None
    for row in pivot.rows:
        if before not in (None, row.mapping):
            table.add_section()
        if not beside and row.mapping != before:
            table.add_row(row.mapping)
        mapping = [row.mapping if row.mapping != before else ""] if beside else []
        name = Padding(Text(row.predictor), (0, 0, 0, 0 if beside else 2))
        table.add_row(*mapping, name, *map(shown, row.cells), style="dim" if row.baseline else "")
        before = row.mapping
    return table
