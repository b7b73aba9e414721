"""``report.html``: one self-contained page, from the files of a run."""

from pathlib import Path
from typing import Any

from mmml.errors import UserError
from mmml.files import read_json, write_text
from mmml.reporting import cells as show
from mmml.reporting.cells import Cell, headlines
from mmml.reporting.differences import difference_pivots
from mmml.reporting.figures import descent_curves, learning_curves
from mmml.reporting.robustness import area_rows, robustness_curves
from mmml.reporting.shots import shot_curves
from mmml.reporting.tables import pivots
from mmml.reporting.verdicts import judged
from mmml.run_directory import RunDirectory


def write_report(folder: Path) -> Path:
    """Write the report of a run directory, or of one of its evaluations; returns its path.

    Raises:
        UserError: the folder is no run.
    """
    run = RunDirectory(folder)
    result = read_json(run.result)
    if result is None:
        raise UserError(f"{folder} is no run directory: it has no result.json")
    write_text(run.report, render("run.html", contents(run, result)))
    return run.report


def render(template: str, values: dict[str, Any]) -> str:
    """A page of :mod:`mmml.reporting.templates`, filled in."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mmml.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(cell=show.value, shade=shade, mapping=show.mapping, column=show.column)
    environment.filters["validation"] = show.validation
    environment.filters.update(difference=show.difference, verdict=show.verdict, over_classes=show.over_classes)
    return environment.get_template(template).render(values)


def contents(run: RunDirectory, result: dict[str, Any]) -> dict[str, Any]:
    """The values that the template shows."""
    panel, best, info = result["panel"], result["best"] or {}, read_json(run.info) or {}
    score = info.get("validation", {"metric": "accuracy", "percent": True})
    examples = read_json(run.examples) or {}
    return {
        "name": run.path.resolve().name,
        "result": result,
        "info": info,
        "config": run.config.read_text() if run.config.exists() else "",
        "tables": pivots(panel),
        "shots": shot_curves(panel),
        "differences": difference_pivots(result.get("differences", []), panel),
        "verdicts": judged(result.get("verdicts", [])),
        "notes": result.get("notes", []),
        "headlines": headlines(panel),
        "robustness": robustness_curves(result.get("robustness", [])),
        "areas": area_rows(result.get("robustness", [])),
        "curves": learning_curves(run.read_metrics(), best.get("step"), score["metric"], score["percent"]),
        "descent": descent_curves(examples.get("curves") or [], examples.get("trained_to")),
        "examples": examples,
    }


def shade(cell: Cell | None) -> int:
    """How strongly a cell of a table is tinted, 0 to 40."""
    tinted = cell and cell["percent"] and cell["mean"] is not None and not show.is_calibration(cell)
    return round(40 * cell["mean"] ** 2) if cell and tinted else 0
