"""How scores fall under corruption: a figure, a table of the areas under its curves, and a CSV file."""

import csv
import io
from collections.abc import Sequence

from rich.table import Table

from mmml.report.cells import Cell, value
from mmml.report.figures import INK, as_svg, drawing

COLUMNS = ("predictor", "mapping", "ways", "shots", "metric", "corruption", "modality", "amount", "mean", "ci95")
ACROSS = {1: 1, 2: 2, 4: 2}  # curves side by side; else three


def as_csv(points: Sequence[Cell]) -> str:
    """A line for each point; an area has no amount."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(points)
    return buffer.getvalue()


def hardest(points: Sequence[Cell]) -> list[Cell]:
    """Those in the episodes of the most ways and the fewest shots."""
    if not points:
        return []
    ways, shots = max((p["ways"], -p["shots"]) for p in points)
    return [p for p in points if (p["ways"], -p["shots"]) == (ways, shots)]


def robustness_curves(points: Sequence[Cell]) -> str:
    """The score against the amount of each corruption, one line for each mapping; empty if nothing was measured."""
    curves = [p for p in hardest(points) if p["amount"] is not None and p["mean"] is not None]
    kinds = list(dict.fromkeys((p["corruption"], p["modality"]) for p in curves))
    if not kinds:
        return ""
    import matplotlib

    mappings, across = list(dict.fromkeys(p["mapping"] for p in curves)), ACROSS.get(len(kinds), 3)
    rows = -(-len(kinds) // across)
    with drawing(height=2.6 * rows + 0.6) as figure:
        axes = figure.subplots(rows, across, sharey=True, squeeze=False).ravel()
        for place, (corruption, modality) in zip(axes, kinds, strict=False):
            for i, mapping in enumerate(mappings):
                one = [
                    p
                    for p in curves
                    if (p["corruption"], p["modality"], p["mapping"]) == (corruption, modality, mapping)
                ]
                scale = 100 if one[0]["percent"] else 1
                colour = matplotlib.colormaps["tab10"](i % 10)
                x, y = [p["amount"] for p in one], [scale * p["mean"] for p in one]
                place.plot(x, y, marker="o", markersize=3, linewidth=1.4, color=colour, label=mapping)
            place.set(xlabel="amount", title=f"{modality}: {corruption}")
        for place in axes[len(kinds) :]:
            place.set_visible(False)
        axes[0].set_ylabel(curves[0]["metric"] + (", %" if curves[0]["percent"] else ""), color=INK)
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8)
        return as_svg(figure)


def area_rows(points: Sequence[Cell]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Titles, and a line for each mapping: the areas under its curves, and their mean."""
    areas = [p for p in hardest(points) if p["amount"] is None]
    kinds = list(dict.fromkeys((p["modality"], p["corruption"]) for p in areas))
    titles = ["mean" if modality == corruption else f"{modality}: {corruption}" for modality, corruption in kinds]
    rows = []
    for mapping in dict.fromkeys(p["mapping"] for p in areas):
        found = {(p["modality"], p["corruption"]): p for p in areas if p["mapping"] == mapping}
        rows.append((mapping, [value(found.get(kind)) for kind in kinds]))
    return titles, rows


def area_table(points: Sequence[Cell]) -> list[Table]:
    """The same for the terminal; none if nothing was measured."""
    titles, rows = area_rows(points)
    if not rows:
        return []
    first = hardest(points)[0]
    title = f"area under the curve of {first['metric']}, {first['ways']}-way {first['shots']}-shot"
    table = Table("support:query", *titles, title=title, box=None)
    for mapping, values in rows:
        table.add_row(mapping, *values)
    return [table]
