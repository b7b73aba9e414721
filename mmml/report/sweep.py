"""Tables of a sweep, built from the ``result.json`` of its runs and nothing else."""

import csv
import io
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmml.run_directory import read_json, runs_below, write_text


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
    learned = [c for c in result["panel"] if c["predictor"].split("/")[0] not in ("raw", "chance")]
    best, error = result.get("best") or {}, result.get("error") or {}
    return {
        "run": path.name,
        "overrides": " ".join(result["overrides"]),
        "status": result["status"],
        "monitor": best.get("monitor"),
        "validation": best.get("value"),
        "seconds": result.get("seconds"),
        "test": {cell_name(c): (c["mean"], c["ci95"]) for c in learned if c["metric"] != "median rank"},
        "error": " ".join(str(error.get("message", "")).split()),
    }


def overrides_of(path: Path) -> list[str]:
    """What Hydra recorded of a run that left no result."""
    import yaml

    file = path / ".hydra" / "overrides.yaml"
    return yaml.safe_load(file.read_text()) or [] if file.exists() else []


def cell_name(cell: dict[str, Any]) -> str:
    """``text:image 5-way 1-shot`` or ``text → image R@1``."""
    support, query = "+".join(cell["support"]), "+".join(cell["query"])
    if cell["candidates"] is not None:
        return f"{query} → {support} {cell['metric']}"
    return f"{support}:{query} {cell['ways']}-way {cell['shots']}-shot"


def as_csv(rows: list[dict[str, Any]]) -> str:
    """All test scores, each with its interval."""
    names = list(dict.fromkeys(name for r in rows for name in r["test"]))
    out = io.StringIO()
    writer = csv.writer(out)
    fixed = ["run", "overrides", "status", "monitor", "validation", "seconds"]
    writer.writerow([*fixed, *(c for name in names for c in (name, f"{name} ci95")), "error"])
    for row in rows:
        scores = [v for name in names for v in row["test"].get(name, (None, None))]
        writer.writerow([*(row[k] for k in fixed), *scores, row["error"]])
    return out.getvalue()


def markdown(rows: list[dict[str, Any]]) -> str:
    """Runs ranked by validation, then groups that differ only in seed."""
    names = headline_names(rows)
    head = ["run", "overrides", "status", "validation", *names, "seconds"]
    body = [
        [
            r["run"], r["overrides"], r["status"], number(r["validation"]),
            *(score(r["test"].get(n)) for n in names), number(r["seconds"], 0),
        ]
        for r in rows
    ]  # fmt: skip
    done = sum(r["status"] == "completed" for r in rows)
    parts = [
        f"# {done} of {len(rows)} runs completed, ranked by validation score",
        "Test scores in %, ± the 95 % interval over episodes; they ranked nothing.",
        table(head, body),
        seed_table(rows, names),
        *(
            f"- run {r['run']} {r['status']}: {r['error'] or 'no result.json was written'}"
            for r in rows
            if r["status"] != "completed"
        ),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def headline_names(rows: list[dict[str, Any]]) -> list[str]:
    """The cells worth a column: of each mapping the last listed (most ways) at its fewest shots, and R@1."""
    names = list(dict.fromkeys(name for r in rows for name in r["test"]))
    chosen: dict[str, str] = {}
    for name in names:
        key, _, rest = name.partition(" ")
        if "→" in name:
            if name.endswith("R@1"):
                chosen[name] = name
        elif rest.endswith("-shot") and (key not in chosen or _ways(rest) > _ways(chosen[key].partition(" ")[2])):
            chosen[key] = name
    return list(chosen.values())


def _ways(shape: str) -> int:
    return int(shape.split("-")[0])


def seed_table(rows: list[dict[str, Any]], names: list[str]) -> str:
    """Mean and spread (sample deviation) over seeds, for groups of two or more runs."""
    groups = defaultdict(list)
    for row in rows:
        if row["status"] == "completed":
            others = " ".join(o for o in row["overrides"].split() if not o.startswith("seed="))
            groups[others].append(row)
    body = [
        [key or "(defaults)", str(len(group)), spread([r["validation"] for r in group], 1), *(
            spread([r["test"][n][0] for r in group if n in r["test"]], 100) for n in names
        )]
        for key, group in groups.items()
        if len(group) > 1
    ]  # fmt: skip
    if not body:
        return ""
    return "## Over seeds: mean (sample deviation)\n\n" + table(["overrides", "seeds", "validation", *names], body)


def spread(values: list[float], scale: float) -> str:
    """``mean (deviation)``."""
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    digits = 4 if scale == 1 else 1
    return f"{mean * scale:.{digits}f} ({deviation * scale:.{digits}f})"


def table(head: list[str], body: list[list[str]]) -> str:
    """A Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in [head, *body]) for i in range(len(head))]
    lines = [head, ["-" * w for w in widths], *body]
    return "\n".join("| " + " | ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)) + " |" for row in lines)


def number(value: float | None, digits: int = 4) -> str:
    """A number, or a dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def score(value: tuple[float, float | None] | None) -> str:
    """A percentage with its interval, or a dash."""
    if value is None:
        return "–"
    mean, ci95 = value
    return f"{100 * mean:.1f}" + (f" ± {100 * ci95:.1f}" if ci95 is not None else "")
