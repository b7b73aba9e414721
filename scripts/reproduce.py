"""Run an experiment and compare what it gives with what it should: ``python scripts/reproduce.py NAME [RUNS]``.

Without a name, lists what can be reproduced. Every command is printed before it is run; what has run before (below
``outputs/reproduce/NAME``) is not run again, so that an interrupted reproduction goes on. At the end stands a table in
Markdown: the mean over runs (seeds, or speakers, or other cases), their deviation, an interval, the goal. RUNS takes
only the first so many of them. Exits with 1 if a goal is missed, with 2 if a run cannot be made.
"""

import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from reproductions import REPRODUCTIONS, Goal, Reproduction

from mmml.errors import did_you_mean
from mmml.evaluation.statistics import interval
from mmml.reporting.cells import column, is_calibration, mapping

HOME = Path("outputs") / "reproduce"
BIN = Path(sys.executable).parent
Found = dict[str, Path]
"""By name, where an evaluation wrote ``result.json``; ``test`` is the run directory, for what training ended with."""


def main(arguments: list[str]) -> int:
    """From the command line to the table; returns the exit code."""
    if not arguments or {"-h", "--help"} & set(arguments):
        told = (
            f"  {name:32} {len(r.runs):2} runs of mmml-train {' '.join(r.train)}" for name, r in REPRODUCTIONS.items()
        )
        print(__doc__, *told, sep="\n")
        return 0
    name, *rest = arguments
    if name not in REPRODUCTIONS:
        return refuse(f"{name} is nothing to reproduce{did_you_mean(name, REPRODUCTIONS)}")
    if len(rest) > 1 or not all(r.isdigit() and int(r) for r in rest):
        return refuse(f"{' '.join(rest)} is no number of runs: write NAME, or NAME and how many of its runs")
    wanted = REPRODUCTIONS[name]
    chosen = list(wanted.runs)[: int(rest[0]) if rest else None]
    try:
        found = {run: play(HOME / name / run, wanted, wanted.runs[run]) for run in chosen}
    except subprocess.CalledProcessError as error:  # which has said why
        return 130 if error.returncode == 130 else 2
    except KeyboardInterrupt:
        return 130
    return report(name, wanted, found)


def refuse(message: str) -> int:
    """Say what is wrong with the command."""
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    return 2


def play(folder: Path, wanted: Reproduction, overrides: list[str]) -> Found:
    """Train and evaluate once."""
    train = ["mmml-train", *wanted.train, *overrides, f"hydra.run.dir={folder}"]
    begun = (folder / "checkpoints" / "last.ckpt").exists()
    execute(["mmml-train", f"resume={folder}"] if begun else train, folder, aside=not begun)
    found = {"test": folder}
    for name, more in wanted.evaluations.items():
        found[name] = folder / "eval" / name
        execute(["mmml-eval", f"checkpoint={folder}", f"name={name}", *more], found[name])
    return found


def execute(command: list[str], folder: Path, aside: bool = True) -> None:
    """Run a command, unless its result says that it is done; what it left unfinished before is moved ``aside``."""
    result = folder / "result.json"
    if result.exists() and json.loads(result.read_text())["status"] == "completed":
        return
    if aside and folder.exists():
        folder.rename(folder.with_name(f"{folder.name}-interrupted-{time.time_ns()}"))
    print("$", shlex.join(command), flush=True)
    subprocess.run([str(BIN / command[0]), *command[1:]], check=True)


def score(found: Found, goal: Goal) -> float:
    """What a run has, as it is shown."""
    scores = [accuracy(found[e], goal) for e in goal.evaluations]
    mean = 100 * statistics.mean(scores)
    return 100 - mean if goal.error else mean


def accuracy(folder: Path, goal: Goal) -> float:
    """A number of the panel, or the mean difference of two in the same episodes."""
    if goal.less is None:
        return float(cell_of(folder, goal.mapping, goal)["mean"])
    a, b = (episodes(folder, cell_of(folder, m, goal)) for m in (goal.mapping, goal.less))
    return float(np.mean(a - b))


def cell_of(folder: Path, which: str, goal: Goal) -> dict[str, Any]:
    """The one cell of the panel that a goal speaks of."""
    for cell in json.loads((folder / "result.json").read_text())["panel"]:
        of_it = not cell["baseline"] if goal.predictor is None else cell["predictor"] == goal.predictor
        whole = of_it and not is_calibration(cell) and not cell.get("subset")
        if whole and (mapping(cell), column(cell)) == (which, goal.column):
            return dict(cell)
    raise LookupError(f"{folder}/result.json: there is no {goal.title}")


def episodes(folder: Path, cell: dict[str, Any]) -> np.ndarray:
    """The score of every episode of a cell."""
    keys = ("predictor", "ways", "shots", "metric")
    wanted = [(key, "=", cell[key]) for key in keys] + [("mapping", "=", mapping(cell))]
    (path,) = {*folder.glob("episodes.parquet"), *folder.glob("eval/test/episodes.parquet")}
    table = pq.read_table(path, filters=wanted)
    whole = table.filter(pc.field("subset").is_null())
    return whole.sort_by("episode")["score"].to_numpy()


def report(name: str, wanted: Reproduction, found: dict[str, Found]) -> int:
    """Print the table; returns 1 if a goal is missed."""
    seconds = [seconds_of(f["test"]) for f in found.values()]
    commits = sorted({str(json.loads((f["test"] / "run.json").read_text())["git"])[:7] for f in found.values()})
    machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
    took = f"{len(found)} runs, {statistics.mean(seconds):.0f} s of training and test each"
    print(f"\n{name}: {date.today()}, commit {', '.join(commits)}, {machine}, {took}\n")
    print("| | mean | 95 % interval | deviation | each | goal | |\n| --- | --- | --- | --- | --- | --- | --- |")
    met = [row(goal, found) for goal in wanted.goals]
    return int(not all(met))


def seconds_of(folder: Path) -> float:
    """What training and test took, in all jobs from the first to the last resume."""
    return sum(json.loads(path.read_text())["seconds"] for path in folder.glob("result*.json"))


def row(goal: Goal, found: dict[str, Found]) -> bool:
    """Print one of the table; whether its goal is met."""
    each = list(by_unit(goal, found).values())
    mean, bound = statistics.mean(each), goal.bound
    if isinstance(bound, str):
        bound = statistics.mean(by_unit(replace(goal, predictor=bound), found).values())
    deviation = f"{statistics.stdev(each):.2f}" if len(each) > 1 else "–"
    ci95 = f"± {interval(np.array(each))[1]:.2f}" if len(each) > 1 else "–"
    met = bound is None or goal.met(mean, bound)
    limit = "" if bound is None else f"{'' if goal.exactly else 'at most ' if goal.error else 'at least '}{bound:.1f}"
    shown = ", ".join(f"{s:.1f}" for s in each)
    print(f"| {goal.title} | {mean:.2f} | {ci95} | {deviation} | {shown} | {limit} | {'' if met else 'missed'} |")
    return met


def by_unit(goal: Goal, found: dict[str, Found]) -> dict[str, float]:
    """The mean of all runs of a name before ``/``."""
    scores: dict[str, list[float]] = {}
    for run, places in found.items():
        scores.setdefault(run.split("/")[0], []).append(score(places, goal))
    return {unit: statistics.mean(several) for unit, several in scores.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
