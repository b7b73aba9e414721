"""An inspection as tables on the terminal, and as a page with a sample of each class."""

from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from mmml.check.issues import Inspection
from mmml.data.base import Samples
from mmml.data.values import evenly_spaced
from mmml.errors import many
from mmml.evaluation.examples.thumbnails import ORDER, picture
from mmml.files import keep_aside, write_text
from mmml.reporting.html import render

CLASSES = 60  # shown of each split, at most
MADE = b"mmml-data</title>"  # part of every page that mmml writes


def print_inspection(inspection: Inspection, console: Console) -> None:
    """Print an inspection on the terminal."""
    console.print(inspection.read, soft_wrap=True)
    for title, rows in (("splits", inspection.counts), ("modalities", inspection.modalities)):
        if rows:
            table = Table(
                title=title,
                title_justify="left",
                title_style="bold",
                box=SIMPLE_HEAD,
                padding=(0, 1),
            )
            for name in rows[0]:
                table.add_column(name, overflow="fold")
            for row in rows:
                table.add_row(*(f"{v:,}" if isinstance(v, int) else str(v) for v in row.values()))
            console.print(table)
    for issue in inspection.found:
        sign, style = ("✗", "bold red") if issue.stops else ("!", "bold yellow")
        console.print(sign, style=style, end=" ")
        console.print(issue.what)
        console.print(f"  {issue.hint}", style="dim")
        for example in issue.examples:
            console.print(f"    {example}", style="dim")
    console.print(verdict(inspection))
    if not inspection.stops:
        console.print(f"Next: {inspection.command}", soft_wrap=True)


def verdict(inspection: Inspection) -> str:
    """The result in one line."""
    stops = sum(f.stops for f in inspection.found)
    if stops:
        return f"Training would fail: {many(stops, 'thing')} to fix."
    return "Training can start." + (
        f" {many(len(inspection.found), 'thing')} to know." if inspection.found else ""
    )


def write_page(inspection: Inspection, path: Path) -> None:
    """Write one self-contained HTML file; an existing file that mmml did not write is renamed
    first.
    """
    if path.is_file() and MADE not in path.read_bytes()[:2000]:
        keep_aside(path)
    values = {
        "name": inspection.name,
        "read": inspection.read,
        "verdict": verdict(inspection),
        "command": "" if inspection.stops else inspection.command,
        "found": inspection.found,
        "tables": [("Splits", inspection.counts), ("Modalities", inspection.modalities)],
        "classes": {split: items(samples) for split, samples in inspection.samples.items()},
        "total": {split: len(samples.classes) for split, samples in inspection.samples.items()},
    }
    write_text(path, render("data.html", values))


def items(samples: Samples) -> list[dict[str, Any]]:
    """Return one sample of each class, or of ``CLASSES`` classes if there are more."""
    chosen = evenly_spaced(len(samples.classes), CLASSES)
    return [_item(samples, int(c)) for c in chosen]


def _item(samples: Samples, number: int) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for modality, column in samples.columns.items():
        starts = samples.starts if column.starts is None else column.starts
        first = column.take(
            slice(starts[number], min(starts[number] + 1, starts[number + 1]))
        ).present[:]
        if len(first):
            shown[modality] = first[0]
    pictures = [picture(m, shown[m]) for m in ORDER if m in shown]
    count = many(int(samples.counts[number]), "sample")
    label, text = samples.classes[number], shown.get("text", "")
    return {
        "label": label,
        "count": count,
        "pictures": pictures,
        "text": "" if text == label else text,
    }
