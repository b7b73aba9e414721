"""Robustness: a figure of scores against the amount of corruption, and a table of areas under its
curves.
"""

from collections.abc import Sequence

from rich.table import Table

from mmml.reporting import rows as show
from mmml.reporting.figures import as_svg, drawing
from mmml.reporting.rows import Row

ACROSS = {1: 1, 2: 2, 4: 2}  # plots side by side, by their number; else three


def quoted(results: Sequence[Row]) -> list[Row]:
    """Return the results under corruption, for the most prominent shape of episodes."""
    corrupted = [r for r in results if "corruption" in r]
    most = max(map(show.prominence, corrupted), default=None)
    return [r for r in corrupted if show.prominence(r) == most]


def robustness_curves(results: Sequence[Row]) -> str:
    """Plot the score against the amount of each corruption, with a line for each mapping and
    predictor; empty without such results.
    """
    known = [r for r in quoted(results) if "amount" in r and r["mean"] is not None]
    curves: dict[str, dict[str, list[Row]]] = {}
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
                x = [p["amount"] for p in several]
                y = [(100 if percent else 1) * p["mean"] for p in several]
                axis.plot(x, y, marker="o", markersize=3, linewidth=1.4, label=line)
            axis.set(xlabel="amount", title=title)
        for axis in axes[len(curves) :]:
            axis.set_visible(False)
        axes[0].set_ylabel(known[0]["metric"] + (", %" if percent else ""))
        figure.legend(
            *axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8
        )
        return as_svg(figure)


def line_of(row: Row, among: Sequence[Row]) -> str:
    """The name of a row's curve: its mapping, after its predictor if there are several
    predictors.
    """
    several = len({r["predictor"] for r in among}) > 1
    return f"{row['predictor']}, {show.mapping(row)}" if several else show.mapping(row)


def area_rows(results: Sequence[Row]) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """Return titles, and a line for each mapping: the areas under its curves, and their mean."""
    areas = [r for r in quoted(results) if "amount" not in r]
    kinds = list(dict.fromkeys((r["modality"], r["corruption"]) for r in areas))
    titles = [
        "mean" if modality == corruption else f"{modality}: {corruption}"
        for modality, corruption in kinds
    ]
    lines = []
    for line in dict.fromkeys(line_of(r, areas) for r in areas):
        found = {(r["modality"], r["corruption"]): r for r in areas if line_of(r, areas) == line}
        lines.append((line, [show.value(found.get(kind)) for kind in kinds]))
    return titles, lines


def area_table(results: Sequence[Row]) -> list[Table]:
    """Return these areas as a table for the terminal; empty without such results."""
    titles, lines = area_rows(results)
    if not lines:
        return []
    first = quoted(results)[0]
    title = f"area under the curve of {first['metric']}, {first['ways']}-way {first['shots']}-shot"
    table = Table("support:query", *titles, title=title, box=None)
    for mapping, values in lines:
        table.add_row(mapping, *values)
    return [table]
