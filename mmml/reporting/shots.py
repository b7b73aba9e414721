"""A figure of the score against the number of shots."""

from collections import defaultdict
from typing import Any

from mmml.reporting import rows as show
from mmml.reporting.figures import BLUE, LINES, as_svg, drawing
from mmml.reporting.rows import Row

LEAST = 3  # the smallest number of points of a curve
MOST = 4  # the largest number of plots
WIDE = 90  # characters of all titles together


def shot_curves(results: list[Row]) -> str:
    """Plot the first metric against shots, for each mapping and number of ways; empty for fewer
    than ``LEAST`` numbers of shots.
    """
    played = [
        c
        for c in show.uncorrupted(results)
        if c["mean"] is not None and not show.is_ranking(c) and not show.is_problem(c)
    ]
    wanted = [
        c for c in played if (c["task"], c["metric"]) == (played[0]["task"], played[0]["metric"])
    ]
    plots: dict[tuple[str, int], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in wanted:
        plots[show.mapping(row), row["ways"]][show.predictor(row)].append(row)
    kept = [(key, lines) for key, lines in plots.items() if max(map(len, lines.values())) >= LEAST][
        :MOST
    ]
    if not kept:
        return ""
    names = list(dict.fromkeys(name for _, lines in kept for name in lines))
    with drawing() as figure:
        for axes, ((mapping, ways), lines) in zip(
            figure.subplots(1, len(kept), squeeze=False)[0], kept, strict=True
        ):
            for name, line in lines.items():
                _draw(axes, name, line, names.index(name))
            title = f"{mapping}, {ways}-way"
            axes.set_title(title.replace(":", ":\n") if len(title) > WIDE / len(kept) else title)
            axes.set_xlabel("shots")
            _ticks(axes, sorted({c["shots"] for line in lines.values() for c in line}))
        figure.axes[0].set_ylabel(wanted[0]["metric"] + (", %" if wanted[0]["percent"] else ""))
        shown = {
            n: h for a in figure.axes for h, n in zip(*a.get_legend_handles_labels(), strict=True)
        }
        figure.legend(shown.values(), shown.keys(), loc="outside lower center", ncols=3, fontsize=8)
        return as_svg(figure)


def _draw(axes: Any, name: str, line: list[Row], number: int) -> None:
    """Plot one predictor's scores with their intervals; the first one, which is learned, has a
    thick blue line.
    """
    import matplotlib

    shots, means = [c["shots"] for c in line], [show.scaled(c) for c in line]
    spread = [show.scaled(c, "ci95") if c["ci95"] else 0 for c in line]
    colour = matplotlib.colormaps["Dark2"]((number - 1) % 8) if number else BLUE
    style = {"linestyle": LINES[number // 9 % len(LINES)], "linewidth": 1.1 if number else 2}
    axes.errorbar(
        shots, means, spread, color=colour, label=name, marker="o", markersize=3, capsize=2, **style
    )


def _ticks(axes: Any, shots: list[int]) -> None:
    """Set a log axis with ticks at the numbers of shots."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(shots, [str(s) for s in shots])
