"""How scores fall under corruption: a figure, a table of the areas under its curves, and a CSV file."""

import csv
import io
from collections.abc import Sequence

from rich.table import Table

from mmml.reporting.cells import Cell, prominence, value
from mmml.reporting.figures import as_svg, drawing

COLUMNS = ("predictor", "mapping", "ways", "shots", "metric", "corruption", "modality", "amount", "mean", "ci95")
ACROSS = {1: 1, 2: 2, 4: 2}  # curves side by side; else three


def as_csv(points: Sequence[Cell]) -> str:
    """A line for each point; an area has no amount."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(points)
    return buffer.getvalue()


def quoted(points: Sequence[Cell]) -> list[Cell]:
    """Those in the episodes that a learner is quoted by."""
    most = max(map(prominence, points), default=None)
    return [p for p in points if prominence(p) == most]


def robustness_curves(points: Sequence[Cell]) -> str:
    """The score against the amount of each corruption, a line for each mapping (and predictor); or nothing."""
    known = [p for p in quoted(points) if p["amount"] is not None and p["mean"] is not None]
    curves: dict[str, dict[str, list[Cell]]] = {}
    for point in known:
        title = f"{point['modality']}: {point['corruption']}"
        curves.setdefault(title, {}).setdefault(line_of(point, known), []).append(point)
    if not curves:
        return ""
    across = ACROSS.get(len(curves), 3)
    rows, percent = -(-len(curves) // across), known[0]["percent"]
    with drawing(height=2.6 * rows + 0.6) as figure:
        axes = figure.subplots(rows, across, sharey=True, squeeze=False).ravel()
        for axis, (title, lines) in zip(axes, curves.items(), strict=False):
            for line, several in lines.items():
                x, y = [p["amount"] for p in several], [(100 if percent else 1) * p["mean"] for p in several]
                axis.plot(x, y, marker="o", markersize=3, linewidth=1.4, label=line)
            axis.set(xlabel="amount", title=title)
        for axis in axes[len(curves) :]:
            axis.set_visible(False)
        axes[0].set_ylabel(known[0]["metric"] + (", %" if percent else ""))
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
        return as_svg(figure)


def line_of(point: Cell, among: Sequence[Cell]) -> str:
    """What a point's curve is called: its mapping, after its predictor where there are several."""
    several = len({p["predictor"] for p in among}) > 1
    return f"{point['predictor']}, {point['mapping']}" if several else str(point["mapping"])


def area_rows(points: Sequence[Cell]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Titles, and a line for each mapping: the areas under its curves, and their mean."""
    areas = [p for p in quoted(points) if p["amount"] is None]
    kinds = list(dict.fromkeys((p["modality"], p["corruption"]) for p in areas))
    titles = ["mean" if modality == corruption else f"{modality}: {corruption}" for modality, corruption in kinds]
    rows = []
    for line in dict.fromkeys(line_of(p, areas) for p in areas):
        found = {(p["modality"], p["corruption"]): p for p in areas if line_of(p, areas) == line}
        rows.append((line, [value(found.get(kind)) for kind in kinds]))
    return titles, rows


def area_table(points: Sequence[Cell]) -> list[Table]:
    """The same for the terminal; none if nothing was measured."""
    titles, rows = area_rows(points)
    if not rows:
        return []
    first = quoted(points)[0]
    title = f"area under the curve of {first['metric']}, {first['ways']}-way {first['shots']}-shot"
    table = Table("support:query", *titles, title=title, box=None)
    for mapping, values in rows:
        table.add_row(mapping, *values)
    return [table]
