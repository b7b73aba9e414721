"""Figures as inline SVG, drawn in ``currentColor``, so that they follow the page's theme."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

INK = "#010203"  # replaced by currentColor after drawing
BLUE = "#4c78d0"
LINES = ("-", "--", ":", "-.")
STYLE = {
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "mmml",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.15,
    "grid.color": INK,
    "legend.frameon": False,
}


def learning_curves(
    metrics: list[dict[str, Any]], best_step: int | None, score: str, percent: bool
) -> str:
    """Plot training loss and validation scores against steps; empty if there was no training.

    Args:
        metrics: the lines of ``metrics.jsonl``.
        best_step: the step that validation selected.
        score: the metric of validation.
        percent: whether the metric is shown as a percentage.
    """
    train = [m for m in metrics if m["split"] == "train"]
    validations = [m for m in metrics if m["split"] == "val"]
    if not train:
        return ""
    with drawing() as figure:
        left, right = figure.subplots(1, 2)
        _draw_loss(left, [m["step"] for m in train], [m["loss"] for m in train])
        _draw_validation(right, validations, 100 if percent else 1)
        right.set(xlabel="step", title=f"validation {score}" + (", %" if percent else ""))
        if best_step is not None:
            right.axvline(best_step, color=INK, alpha=0.35, linewidth=0.8, linestyle=":")
        return as_svg(figure)


def descent_curves(curves: list[dict[str, Any]], trained_to: int | None) -> str:
    """Plot the loss of each optimizer on the same problems against steps: median and quartiles;
    empty if there are no curves.

    Args:
        curves: ``name``, ``steps``, ``low``, ``median`` and ``high`` of each optimizer, the learned
            one first.
        trained_to: the number of inner steps in training.
    """
    if not curves:
        return ""
    import matplotlib
    import numpy as np

    with drawing() as figure:
        axes = figure.subplots()
        for i, curve in enumerate(curves):
            colour = BLUE if i == 0 else matplotlib.colormaps["Dark2"](i - 1)
            style = {
                "linewidth": 2 if i == 0 else 1.1,
                "marker": "o" if len(curve["steps"]) < 12 else None,
            }
            # As floats, so that None becomes NaN.
            low, median, high = (np.array(curve[k], float) for k in ("low", "median", "high"))
            axes.plot(
                curve["steps"], median, color=colour, label=curve["name"], markersize=3, **style
            )
            axes.fill_between(curve["steps"], low, high, color=colour, alpha=0.12, linewidth=0)
        axes.set_yscale("log")
        axes.set(xlabel="step of the inner loop", ylabel="loss")
        if trained_to is not None and trained_to < curves[0]["steps"][-1]:
            axes.axvline(trained_to, color=INK, alpha=0.35, linewidth=0.8, linestyle=":")
        axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=8)
        return as_svg(figure)


@contextmanager
def drawing(height: float = 4) -> Iterator[Any]:
    """Return an empty figure in the style of the report; the height is in inches."""
    import matplotlib

    with matplotlib.rc_context(STYLE):  # type: ignore[arg-type]
        from matplotlib.figure import Figure

        yield Figure(figsize=(10, height), layout="constrained")


def as_svg(figure: Any) -> str:
    """Return a figure as an SVG element that is drawn in the colour of the text."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :].replace(INK, "currentColor")


def _draw_loss(axes: Any, steps: list[int], losses: list[float]) -> None:
    axes.plot(steps, losses, color=BLUE, alpha=0.25, linewidth=0.8)
    axes.plot(steps, smooth(losses), color=BLUE, linewidth=1.6)
    axes.set(xlabel="step", title="training loss")
    if min(losses) > 0:
        from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _draw_validation(axes: Any, validations: list[dict[str, Any]], scale: float) -> None:
    """Plot validation scores: a colour for each mapping, a line style for each shape of
    episodes.
    """
    import matplotlib

    steps = [m["step"] for m in validations]
    names = [k for k in (validations or [{}])[0] if k.count("/") == 2]
    if not names:
        _draw_problems(axes, validations)
    mappings = list(dict.fromkeys(n.split("/")[1] for n in names))
    shapes = list(dict.fromkeys(n.split("/")[2] for n in names))
    for name in names:
        _, mapping, shape = name.split("/")
        axes.plot(
            steps,
            [math.nan if m[name] is None else scale * m[name] for m in validations],
            LINES[shapes.index(shape) % len(LINES)],
            marker="o" if len(steps) == 1 else None,
            color=matplotlib.colormaps["tab10"](mappings.index(mapping) % 10),
            linewidth=1.2,
            alpha=0.85,
        )
    for i, mapping in enumerate(mappings):
        axes.plot([], [], color=matplotlib.colormaps["tab10"](i % 10), label=mapping)
    for i, shape in enumerate(shapes):
        axes.plot([], [], LINES[i % len(LINES)], color=INK, linewidth=1, label=shape)
    if names:
        axes.figure.legend(loc="outside lower right", fontsize=8, ncols=4)


def _draw_problems(axes: Any, validations: list[dict[str, Any]]) -> None:
    """Plot mean and median loss, on a log axis."""
    for name, line in zip(("val/mean", "val/median"), LINES, strict=False):
        shown = [(m["step"], m[name]) for m in validations if (m.get(name) or 0) > 0]
        axes.plot(
            *zip(*shown, strict=True), line, color=BLUE, label=name.removeprefix("val/")
        ) if shown else None
    axes.set_yscale("log")
    axes.legend(fontsize=8)


def smooth(values: list[float], memory: float = 0.9) -> list[float]:
    """Exponential moving average with bias correction."""
    out, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = memory * total + value, memory * weight + 1
        out.append(total / weight)
    return out
