"""``report.html``: one self-contained page, made from the files of a run."""

from pathlib import Path
from typing import Any

from mmml.errors import UserError
from mmml.files import read_json, write_text
from mmml.reporting import rows as show
from mmml.reporting.differences import difference_pivots
from mmml.reporting.figures import descent_curves, learning_curves
from mmml.reporting.robustness import area_rows, robustness_curves
from mmml.reporting.rows import Row, headlines
from mmml.reporting.shots import shot_curves
from mmml.reporting.tables import pivots
from mmml.reporting.verdicts import verdict_items
from mmml.run_directory import RunDirectory


def write_report(folder: Path) -> Path:
    """Write the report of a run directory, or of one of its evaluations; returns its path.

    Raises:
        UserError: the folder is not a run directory.
    """
    run = RunDirectory(folder)
    result = run.read_result()
    if result is None:
        raise UserError(f"{folder} is no run directory: it has no result.json")
    write_text(run.report, render("run.html", contents(run, result)))
    return run.report


def render(template: str, values: dict[str, Any]) -> str:
    """Render a page of :mod:`mmml.reporting.templates`."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mmml.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        score=show.value, shade=shade, mapping=show.mapping, column=show.column
    )
    environment.filters["validation"] = show.validation
    environment.filters.update(
        difference=show.difference, verdict=show.verdict, over_classes=show.over_classes
    )
    return environment.get_template(template).render(values)


def contents(run: RunDirectory, result: dict[str, Any]) -> dict[str, Any]:
    """Return the values that the template shows."""
    results, best, info = result["results"], result["best"] or {}, read_json(run.info) or {}
    score = info.get("validation", {"metric": "accuracy", "percent": True})
    examples = read_json(run.examples) or {}
    return {
        "name": run.path.resolve().name,
        "result": result,
        "info": info,
        "config": run.config.read_text() if run.config.exists() else "",
        "tables": pivots(results),
        "shots": shot_curves(results),
        "differences": difference_pivots(result["differences"], results),
        "verdicts": verdict_items(result["verdicts"]),
        "notes": result["notes"],
        "headlines": headlines(results),
        "robustness": robustness_curves(results),
        "areas": area_rows(results),
        "curves": learning_curves(
            run.read_metrics(), best.get("step"), score["metric"], score["percent"]
        ),
        "descent": descent_curves(examples.get("curves") or [], examples.get("trained_to")),
        "examples": examples,
    }


def shade(row: Row | None) -> int:
    """The strength of a cell's background colour, from 0 to 40."""
    tinted = row and row["percent"] and row["mean"] is not None and not show.is_calibration(row)
    return round(40 * row["mean"] ** 2) if row and tinted else 0
