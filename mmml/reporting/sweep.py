"""Tables of a sweep, made only from the ``result.json`` of its runs."""

import csv
import io
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmml.files import write_text
from mmml.reporting import rows as show
from mmml.run_directory import RunDirectory, runs_below

FIXED = ("run", "overrides", "status", "monitor", "validation", "seconds")


@dataclass
class SeedSummary:
    """The outcome of a sweep."""

    runs: int
    failed: int
    short: str


def is_sweep(folder: Path) -> bool:
    """Whether a folder contains numbered runs and is not a run itself."""
    return (
        folder.is_dir()
        and not (folder / "run.json").exists()
        and any(True for _ in runs_below(folder))
    )


def summarise(folder: Path) -> SeedSummary:
    """Write ``summary.csv`` (a line per run) and ``summary.md`` (also grouped over seeds).

    Runs are ranked by the validation score alone. Runs that failed, were interrupted or left no
    result come last, with the reason.
    """
    rows = [read_run(path) for path in runs_below(folder)] if folder.is_dir() else []
    rows.sort(key=lambda r: (r["status"] != "completed", r["rank"]))
    if rows:
        write_text(folder / "summary.csv", as_csv(rows))
        write_text(folder / "summary.md", markdown(rows))
    return SeedSummary(len(rows), sum(r["status"] != "completed" for r in rows), short(rows))


def read_run(path: Path) -> dict[str, Any]:
    """Return one line of the table: overrides, status, validation and test scores with intervals,
    seconds.
    """
    result = RunDirectory(path).read_result() or {
        "status": "no result.json was written",
        "overrides": overrides_of(path),
        "results": [],
    }
    learned = [r for r in show.uncorrupted(result["results"]) if not show.is_baseline(r)]
    best, error = result.get("best") or {}, result.get("error") or {}
    return {
        "run": path.name,
        "overrides": result["overrides"],
        "status": result["status"],
        "monitor": best.get("monitor"),
        "validation": best.get("value"),
        "rank": rank(best),
        "seconds": result.get("seconds"),
        "test": named(learned),
        "headlines": [show.name(c) for c in show.headlines(learned)],
        "error": " ".join(str(error.get("message", "")).split()),
    }


def named(cells: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return rows by name. If several metrics have the same name, the name of the first stays, and
    the others include the metric.
    """
    found: dict[str, dict[str, Any]] = {}
    for row in cells:
        name = show.name(row)
        found[f"{name} {row['metric']}" if name in found else name] = row
    return found


def rank(best: dict[str, Any]) -> float:
    """A sort key by which better validation scores come first; runs without a score come last."""
    if best.get("value") is None:
        return math.inf
    return -best["value"] if best.get("higher_is_better", True) else best["value"]


def overrides_of(path: Path) -> list[str]:
    """Return the overrides that Hydra recorded for a run that left no result."""
    import yaml

    file = path / ".hydra" / "overrides.yaml"
    return yaml.safe_load(file.read_text()) or [] if file.exists() else []


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return all test scores, each with its interval, as CSV."""
    names = list(dict.fromkeys(name for r in rows for name in r["test"]))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([*FIXED, *(c for name in names for c in (name, f"{name} ci95")), "error"])
    for row in rows:
        cells = [row["test"].get(name, {}) for name in names]
        scores = [v for row in cells for v in (row.get("mean"), row.get("ci95"))]
        fixed = [" ".join(row[k]) if k == "overrides" else row[k] for k in FIXED]
        writer.writerow([*fixed, *scores, row["error"]])
    return out.getvalue()


def short(rows: list[dict[str, Any]]) -> str:
    """Return a summary for the terminal: the differing overrides of runs, their status and
    validation score.
    """
    differing, _ = split_overrides(rows)
    body = [
        [r["run"], o, r["status"], number(r["validation"], 4), number(r["seconds"], 0)]
        for r, o in zip(rows, differing, strict=True)
    ]
    parts = [
        title(rows),
        table(["run", "overrides", "status", "validation", "seconds"], body),
        reasons(rows),
    ]
    return "\n\n".join(p for p in parts if p)


def markdown(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown page: runs ranked by validation, then groups of runs that differ only in
    seed.
    """
    names = list(dict.fromkeys(name for r in rows for name in r["headlines"]))
    differing, common = split_overrides(rows)
    body = [
        [r["run"], o, r["status"], number(r["validation"], 4)]
        + [show.value(r["test"].get(n)) or "–" for n in names]
        + [number(r["seconds"], 0)]
        for r, o in zip(rows, differing, strict=True)
    ]
    parts = [
        "# " + title(rows),
        (
            "Test scores are ± the 95 % interval over episodes (queries, for a ranking); "
            "they ranked nothing."
        ),
        f"All runs: `{' '.join(common)}`" if common else "",
        table(["run", "overrides", "status", "validation", *names, "seconds"], body),
        seed_table(rows, names),
        reasons(rows),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def title(rows: list[dict[str, Any]]) -> str:
    """Say how many runs completed."""
    return (
        f"{sum(r['status'] == 'completed' for r in rows)} of {len(rows)} runs completed, "
        "ranked by validation score"
    )


def reasons(rows: list[dict[str, Any]]) -> str:
    """Say why runs did not complete."""
    return "\n".join(
        f"- run {r['run']}: {r['status']}" + (f", {r['error']}" if r["error"] else "")
        for r in rows
        if r["status"] != "completed"
    )


def split_overrides(rows: list[dict[str, Any]]) -> tuple[list[str], list[str]]:
    """Return the overrides of each run that are not common to all runs, joined, and the common
    ones.
    """
    common = (
        [o for o in rows[0]["overrides"] if all(o in r["overrides"] for r in rows)]
        if len(rows) > 1
        else []
    )
    return [" ".join(o for o in r["overrides"] if o not in common) for r in rows], common


def seed_table(rows: list[dict[str, Any]], names: list[str]) -> str:
    """Return a table of the mean and the sample standard deviation over seeds, for groups of two or
    more runs.
    """
    groups, common = defaultdict(list), split_overrides(rows)[1]
    for row in rows:
        if row["status"] == "completed":
            groups[
                " ".join(
                    o for o in row["overrides"] if not o.startswith("seed=") and o not in common
                )
            ].append(row)
    body = [
        [
            key or "(defaults)",
            str(len(group)),
            deviation([r["validation"] for r in group if r["validation"] is not None], 4),
        ]
        + [spread([r["test"][n] for r in group if n in r["test"]]) for n in names]
        for key, group in groups.items()
        if len(group) > 1
    ]
    if not body:
        return ""
    return "## Over seeds: mean (sample deviation)\n\n" + table(
        ["overrides", "seeds", "validation", *names], body
    )


def spread(cells: list[show.Row]) -> str:
    """Return ``mean (deviation)`` of the means of some rows, without those that diverged."""
    cells = [c for c in cells if c["mean"] is not None]
    return deviation([show.scaled(c) for c in cells], show.digits(cells[0]) if cells else 1)


def deviation(values: list[float], digits: int) -> str:
    """Return ``mean (standard deviation)``, or a dash for fewer than two values."""
    if len(values) < 2:
        return "–"
    return f"{statistics.mean(values):.{digits}f} ({statistics.stdev(values):.{digits}f})"


def table(head: list[str], body: list[list[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    lines = [head, ["-" * w for w in widths], *body]
    return "\n".join(
        "| " + " | ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)) + " |"
        for row in lines
    )


def number(value: float | None, digits: int) -> str:
    """Return a number as text, or a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"
