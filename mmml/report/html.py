"""``report.html``: one self-contained page, from the files of a run."""

from pathlib import Path
from typing import Any

from mmml.errors import UserError
from mmml.report.figures import learning_curves
from mmml.report.tables import is_fraction, pivots, show_cell
from mmml.run_directory import RunDirectory, read_json, write_text


def write_report(folder: Path) -> Path:
    """Write the report of a run directory, or of one of its evaluations; returns its path.

    Raises:
        UserError: the folder is no run.
    """
    run = RunDirectory(folder)
    result = read_json(run.result)
    if result is None:
        raise UserError(f"{folder} is no run directory: it has no result.json")
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mmml.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(cell=show_cell, shade=shade)
    page = environment.get_template("run.html").render(contents(run, result))
    write_text(run.report, page)
    return run.report


def contents(run: RunDirectory, result: dict[str, Any]) -> dict[str, Any]:
    """The values that the template shows."""
    panel, best = result["panel"], result["best"] or {}
    exhibits = read_json(run.exhibits) or read_json(run.path / "exhibits.json") or {}
    return {
        "name": run.path.resolve().name,
        "result": result,
        "info": read_json(run.info) or {},
        "config": run.config.read_text() if run.config.exists() else "",
        "tables": pivots(panel),
        "headlines": headlines(panel),
        "curves": learning_curves(run.read_metrics(), best.get("step")),
        "exhibits": exhibits,
    }


def headlines(panel: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The learned predictor's hardest cell of each mapping, and its R@1."""
    learned = [c for c in panel if c["predictor"].split("/")[0] not in ("raw", "chance")]
    chosen: dict[tuple[str, str], dict[str, Any]] = {}
    for cell in learned:
        if cell["candidates"] is not None and cell["metric"] != "R@1":
            continue
        key = (cell["task"], f"{cell['support']}{cell['query']}")
        hardest = chosen.get(key, cell)
        chosen[key] = max(hardest, cell, key=lambda c: (c["ways"], -c["shots"]))
    out = []
    for cell in chosen.values():
        support, query = "+".join(cell["support"]), "+".join(cell["query"])
        ranking = cell["candidates"] is not None
        out.append(
            {
                "cell": cell,
                "title": f"{query} → {support}" if ranking else f"{support}:{query}",
                "what": f"R@1 among {cell['candidates']}"
                if ranking
                else f"{cell['ways']}-way {cell['shots']}-shot accuracy",
            }
        )
    return out


def shade(cell: dict[str, Any] | None) -> int:
    """How strongly a cell of a table is tinted, 0 to 40."""
    if cell is None or not is_fraction(cell["metric"]):
        return 0
    return round(40 * cell["mean"] ** 2)
