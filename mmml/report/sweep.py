"""Tables of a sweep, built from the ``result.json`` of its runs and nothing else."""

import csv
import io
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmml.files import read_json, write_text
from mmml.report import cells as show
from mmml.run_directory import runs_below

FIXED = ("run", "overrides", "status", "monitor", "validation", "seconds")


@dataclass
class Summary:
    """What became of a sweep."""

    runs: int
    failed: int
    text: str


def is_sweep(folder: Path) -> bool:
    """Whether a folder holds numbered runs and is no run itself."""
    return folder.is_dir() and not (folder / "run.json").exists() and any(True for _ in runs_below(folder))


def summarise(folder: Path) -> Summary:
    """Write ``summary.csv`` (a line per run) and ``summary.md`` (also grouped over seeds).

    Ranked by the validation score alone; runs that failed, were interrupted or left no result stand
    at the end, with their reason.
    """
    rows = [read_run(path) for path in runs_below(folder)] if folder.is_dir() else []
    rows.sort(
        key=lambda r: (r["status"] != "completed", -(r["validation"] if r["validation"] is not None else -math.inf))
    )
    text = markdown(rows)
    if rows:
        write_text(folder / "summary.csv", as_csv(rows))
        write_text(folder / "summary.md", text)
    return Summary(len(rows), sum(r["status"] != "completed" for r in rows), text)


def read_run(path: Path) -> dict[str, Any]:
    """One line of the table: overrides, status, validation and test scores with intervals, seconds."""
    result = read_json(path / "result.json") or {"status": "no result", "overrides": overrides_of(path), "panel": []}
    learned = [c for c in result["panel"] if not c["baseline"]]
    best, error = result.get("best") or {}, result.get("error") or {}
    return {
        "run": path.name,
        "overrides": result["overrides"],
        "status": result["status"],
        "monitor": best.get("monitor"),
        "validation": best.get("value"),
        "seconds": result.get("seconds"),
        "test": {f"{show.mapping(c)} {show.column(c)}": c for c in learned},
        "headlines": [f"{show.mapping(c)} {show.column(c)}" for c in show.headlines(learned)],
        "error": " ".join(str(error.get("message", "")).split()),
    }


def overrides_of(path: Path) -> list[str]:
    """What Hydra recorded of a run that left no result."""
    import yaml

    file = path / ".hydra" / "overrides.yaml"
    return yaml.safe_load(file.read_text()) or [] if file.exists() else []


def as_csv(rows: list[dict[str, Any]]) -> str:
    """All test scores, each with its interval."""
    names = list(dict.fromkeys(name for r in rows for name in r["test"]))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*FIXED, *(c for name in names for c in (name, f"{name} ci95")), "error"])
    for row in rows:
        cells = [row["test"].get(name, {}) for name in names]
        scores = [v for cell in cells for v in (cell.get("mean"), cell.get("ci95"))]
        fixed = [" ".join(row[k]) if k == "overrides" else row[k] for k in FIXED]
        writer.writerow([*fixed, *scores, row["error"]])
    return out.getvalue()


def markdown(rows: list[dict[str, Any]]) -> str:
    """Runs ranked by validation, then groups that differ only in seed."""
    names = list(dict.fromkeys(name for r in rows for name in r["headlines"]))
    body = [
        [r["run"], " ".join(r["overrides"]), r["status"], number(r["validation"], 4)]
        + [show.value(r["test"].get(n)) or "–" for n in names]
        + [number(r["seconds"], 0)]
        for r in rows
    ]
    incomplete = [r for r in rows if r["status"] != "completed"]
    parts = [
        f"# {len(rows) - len(incomplete)} of {len(rows)} runs completed, ranked by validation score",
        "Test scores are ± the 95 % interval over episodes (queries, for a ranking); they ranked nothing.",
        table(["run", "overrides", "status", "validation", *names, "seconds"], body),
        seed_table(rows, names),
        "\n".join(f"- run {r['run']} {r['status']}: {r['error'] or 'no result.json was written'}" for r in incomplete),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def seed_table(rows: list[dict[str, Any]], names: list[str]) -> str:
    """Mean and spread (sample deviation) over seeds, for groups of two or more runs."""
    groups = defaultdict(list)
    for row in rows:
        if row["status"] == "completed":
            groups[" ".join(o for o in row["overrides"] if not o.startswith("seed="))].append(row)
    body = [
        [key or "(defaults)", str(len(group)), spread([r["validation"] for r in group], 4)]
        + [spread([scaled(r["test"][n]) for r in group if n in r["test"]], 1) for n in names]
        for key, group in groups.items()
        if len(group) > 1
    ]
    if not body:
        return ""
    return "## Over seeds: mean (sample deviation)\n\n" + table(["overrides", "seeds", "validation", *names], body)


def scaled(cell: dict[str, Any]) -> float:
    """The mean as it is shown."""
    return cell["mean"] * (100 if cell["percent"] else 1)


def spread(values: list[float], digits: int) -> str:
    """``mean (deviation)``, or a dash for fewer than two."""
    if len(values) < 2:
        return "–"
    return f"{statistics.mean(values):.{digits}f} ({statistics.stdev(values):.{digits}f})"


def table(head: list[str], body: list[list[str]]) -> str:
    """A Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    lines = [head, ["-" * w for w in widths], *body]
    return "\n".join("| " + " | ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)) + " |" for row in lines)


def number(value: float | None, digits: int) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}"
