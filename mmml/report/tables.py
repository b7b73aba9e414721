"""The panel as tables, for the terminal and for HTML."""

from collections.abc import Iterable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table

from mmml.report import cells as show
from mmml.report.cells import Cell


@dataclass
class Row:
    """One line of a panel table: one cell of the panel, or None, for each column."""

    mapping: str
    predictor: str
    baseline: bool
    cells: list[Cell | None]


@dataclass
class Pivot:
    """The cells of one task and metric, or of a ranking, as a table."""

    title: str
    head: str
    columns: list[str]
    rows: list[Row]


def pivots(panel: list[Cell]) -> list[Pivot]:
    """One table for each task and metric, one for a ranking; rows ordered by mapping, calibration last."""
    kinds = sorted(dict.fromkeys(map(_kind, panel)), key=lambda kind: kind[0])
    return [_pivot([c for c in panel if _kind(c) == kind]) for kind in kinds]


def _kind(cell: Cell) -> tuple[bool, str, str]:
    return show.is_calibration(cell), cell["task"], "" if show.is_ranking(cell) else cell["metric"]


def _pivot(cells: list[Cell]) -> Pivot:
    columns = list(dict.fromkeys(map(show.column, cells)))
    predictors = {show.predictor(c): c["baseline"] for c in cells}
    rows = []
    for mapping in dict.fromkeys(map(show.mapping, cells)):
        for predictor, baseline in predictors.items():
            found = {show.column(c): c for c in cells if (show.mapping(c), show.predictor(c)) == (mapping, predictor)}
            if found:
                rows.append(Row(mapping, predictor, baseline, [found.get(c) for c in columns]))
    first, played = cells[0], max(c["episodes"] for c in cells)
    task = first["task"]
    if show.is_ranking(first):
        what, head = f"rank among all {first['candidates']}, mean of {played} galleries", "query → gallery"
    elif show.is_calibration(first):
        task, head = "calibration", "support:query"
        what = f"gap between confidence and accuracy (ECE) %, queries of {played} episodes"
    else:
        unit = " %" if first["percent"] else ""
        what, head = f"{first['metric']}{unit} ± 95 % interval, {played} episodes each", "support:query"
    return Pivot(f"{task}, {first['split']} split: {what}", head, columns, rows)


def panel_tables(panel: list[Cell]) -> Iterable[Table]:
    """Tables for a terminal of 80 columns or more."""
    for pivot in pivots(panel):
        table = Table(title=pivot.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0)
        table.show_edge = False
        table.add_column(pivot.head, no_wrap=True)
        table.add_column("predictor", no_wrap=True)
        for column in pivot.columns:
            table.add_column(column.replace(" ", "\n"), justify="right", no_wrap=True)
        before = None
        for row in pivot.rows:
            if before not in (None, row.mapping):
                table.add_section()
            shown = row.mapping if row.mapping != before else ""
            style = "dim" if row.baseline else ""
            table.add_row(shown, row.predictor, *map(show.value, row.cells), style=style)
            before = row.mapping
        yield table
