"""The panel as tables, for the terminal and for HTML."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

Cells = list[dict[str, Any]]


@dataclass
class Row:
    """One line of a panel table.

    Attributes:
        mapping: as shown: ``text:image``, or ``text → image`` for a retrieval.
        predictor: what is judged.
        cells: one of the panel, or None, for each column.
    """

    mapping: str
    predictor: str
    cells: list[dict[str, Any] | None]


@dataclass
class Pivot:
    """The cells of one task as a table."""

    task: str
    title: str
    columns: list[str]
    rows: list[Row]


def pivots(panel: Cells) -> list[Pivot]:
    """One table for each task, rows ordered by mapping."""
    tasks = dict.fromkeys(c["task"] for c in panel)
    return [_pivot(task, [c for c in panel if c["task"] == task]) for task in tasks]


def _pivot(task: str, cells: Cells) -> Pivot:
    columns = list(dict.fromkeys(_column(c) for c in cells))
    mappings = dict.fromkeys(_mapping(c) for c in cells)
    predictors = dict.fromkeys(_predictor(c) for c in cells)
    rows = []
    for mapping in mappings:
        for predictor in predictors:
            found = {_column(c): c for c in cells if (_mapping(c), _predictor(c)) == (mapping, predictor)}
            if found:
                rows.append(Row(mapping, predictor, [found.get(c) for c in columns]))
    split, candidates = cells[0]["split"], cells[0]["candidates"]
    played = max(c["episodes"] for c in cells)
    if candidates is not None:
        title = f"{task}, {split} split: rank among all {candidates} candidates, mean over {played} galleries"
    else:
        title = f"{task}, {split} split: {cells[0]['metric']} % ± 95 % interval, {played} episodes each"
    return Pivot(task, title, columns, rows)


def _column(cell: dict[str, Any]) -> str:
    return cell["metric"] if cell["candidates"] is not None else f"{cell['ways']}-way {cell['shots']}-shot"


def _mapping(cell: dict[str, Any]) -> str:
    support, query = "+".join(cell["support"]), "+".join(cell["query"])
    return f"{query} → {support}" if cell["candidates"] is not None else f"{support}:{query}"


def _predictor(cell: dict[str, Any]) -> str:
    return cell["predictor"] + (" (transductive)" if cell["transductive"] else "")


def is_fraction(metric: str) -> bool:
    """Whether a metric is shown as a percentage."""
    return metric == "accuracy" or metric.startswith("R@")


def show_cell(cell: dict[str, Any] | None) -> str:
    """``99.3 ± 0.1``, the mean alone where there is no interval, or nothing; intervals are rounded up."""
    if cell is None:
        return ""
    scale = 100 if is_fraction(cell["metric"]) else 1
    mean, ci95 = cell["mean"] * scale, cell["ci95"]
    return f"{mean:.1f}" + (f" ± {math.ceil(ci95 * scale * 10) / 10:.1f}" if ci95 else "")


def panel_tables(panel: Cells) -> Iterable[Table]:
    """Tables for a terminal of 80 columns or more."""
    for pivot in pivots(panel):
        table = Table(title=pivot.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0)
        table.show_edge = False
        ranking = any("→" in row.mapping for row in pivot.rows)
        table.add_column("query → gallery" if ranking else "support:query", no_wrap=True)
        table.add_column("predictor", no_wrap=True)
        for column in pivot.columns:
            table.add_column(column.replace(" ", "\n"), justify="right", no_wrap=True)
        before = None
        for row in pivot.rows:
            if before not in (None, row.mapping):
                table.add_section()
            learned = row.predictor.split("/")[0] not in ("raw", "chance")
            shown = row.mapping if row.mapping != before else ""
            table.add_row(shown, row.predictor, *map(show_cell, row.cells), style="" if learned else "dim")
            before = row.mapping
        yield table
