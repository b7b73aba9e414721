"""The panel as tables, for the terminal and for HTML."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from mmml.reporting import cells as show
from mmml.reporting.cells import Cell

BESIDE = 19  # letters of a name at most that leave room for mappings beside it in 80 columns


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
    second: str = "predictor"


def pivots(panel: list[Cell]) -> list[Pivot]:
    """One table for each task and metric, one for a ranking; rows ordered by mapping, calibration last."""
    kinds = sorted(dict.fromkeys(map(_kind, panel)), key=lambda kind: kind[0])
    return [_pivot([c for c in panel if _kind(c) == kind]) for kind in kinds]


def _kind(cell: Cell) -> tuple[bool, str, str]:
    return (
        show.is_calibration(cell),
        cell["task"],
        "" if show.is_ranking(cell) or show.is_problem(cell) else cell["metric"],
    )


def _pivot(cells: list[Cell]) -> Pivot:
    columns = list(dict.fromkeys(map(show.column, cells)))
    predictors = {show.predictor(c): c["baseline"] for c in cells}
    rows = []
    for mapping in dict.fromkeys(map(show.mapping, cells)):
        for predictor, baseline in predictors.items():
            found = {show.column(c): c for c in cells if (show.mapping(c), show.predictor(c)) == (mapping, predictor)}
            if found:
                rows.append(Row(mapping, predictor, baseline, [found.get(c) for c in columns]))
    first, number = cells[0], max(c["episodes"] for c in cells)
    task = first["task"]
    if show.is_ranking(first):
        galleries = "one gallery" if number == 1 else f"mean of {number} galleries"
        what, head = f"rank among all {first['candidates']}, {galleries}", "query → gallery"
    elif show.is_calibration(first):
        task, head = "calibration", "support:query"
        what = f"gap between confidence and accuracy % (root mean square, debiased), queries of {number} episodes"
    elif show.is_problem(first):
        what, head = f"loss of {number} problems, mean ± 95 % interval and median", "problems"
    else:
        unit = " %" if first["percent"] else ""
        what, head = f"{first['metric']}{unit} ± 95 % interval, {number} {show.played(first)} each", "support:query"
    return Pivot(f"{task}, {first['split']} split: {what}", head, columns, rows)


def panel_tables(panel: list[Cell]) -> Iterable[Table]:
    """Tables for a terminal of 80 columns or more."""
    return (drawn(pivot, show.value) for pivot in pivots(panel))


def drawn(pivot: Pivot, shown: Callable[[Cell | None], str]) -> Table:
    """A table for a terminal: mappings stand beside the predictors, or above them where their names are long."""
    beside = max(len(name) for name in (pivot.second, *(r.predictor for r in pivot.rows))) <= BESIDE
    table = Table(title=pivot.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0)
    table.show_edge = False
    if beside:
        table.add_column(pivot.head, no_wrap=True)
    # As text, since names may hold brackets, which rich reads as markup.
    table.add_column(Text(pivot.second if beside else f"{pivot.head}\n{pivot.second}"), overflow="fold")
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
