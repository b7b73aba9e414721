"""Run an experiment and compare what it gives with what it should: ``python scripts/reproduce.py NAME [SEEDS]``.

Without a name, lists what can be reproduced. Every command is printed before it is run; what has run before (below
``outputs/reproduce/NAME``) is not run again, so that an interrupted reproduction goes on. At the end stands a table in
Markdown: every seed, their mean and deviation, the goal. Exits with 1 if a goal is missed.
"""

import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from mmml.report.cells import mapping

HOME = Path("outputs") / "reproduce"
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Goal:
    """A number of a panel and what it should be.

    Attributes:
        mapping: ``image:image``.
        ways: of the episodes.
        at_least: what the mean over seeds should reach.
        evaluation: name of the evaluation whose panel holds it; ``test`` is what training ended with.
        error: show 100 − accuracy, of which ``at_least`` is the complement.
    """

    mapping: str
    ways: int
    at_least: float
    evaluation: str = "test"
    error: bool = False


@dataclass(frozen=True)
class Reproduction:
    """What is run and what is expected.

    Attributes:
        train: overrides of ``mmml-train``.
        goals: of every seed's panel, on average.
        evaluations: overrides of ``mmml-eval``, by name, for each trained run.
        seeds: of training.
    """

    train: list[str]
    goals: list[Goal]
    evaluations: dict[str, list[str]] = field(default_factory=dict)
    seeds: int = 5


def one_shot(split: str, one: float, several: float | None) -> Reproduction:
    """Omniglot's official runs, trained on some alphabets; goals are errors in per cent."""
    goals = [Goal("image:image", 20, 100 - one, error=True)]
    if several is not None:
        goals.append(Goal("image:image", 20, 100 - several, "views", error=True))
    return Reproduction(
        ["experiment=omniglot_one_shot", f"dataset.split={split}"], goals, {"views": ["evaluation.views=32"]}
    )


REPRODUCTIONS = {
    "omniglot-small1": one_shot("small1", 13.0, 8.0),
    "omniglot-small2": one_shot("small2", 13.0, 8.0),
    "emoji": Reproduction(
        ["experiment=emoji"],
        [Goal("image:image", 20, 85.0, artwork) for artwork in ("blob", "noto", "openmoji", "twemoji")],
        {a: [f"episode.eval.query_domain={a}"] for a in ("blob", "noto", "openmoji", "twemoji")},
    ),
}


def main(arguments: list[str]) -> int:
    """From the command line to the table; returns the exit code."""
    if not arguments or arguments[0] not in REPRODUCTIONS:
        print(__doc__, "\n".join(f"  {name}" for name in REPRODUCTIONS), sep="\n")
        return 0 if not arguments else 2
    name, wanted = arguments[0], REPRODUCTIONS[arguments[0]]
    seeds = range(int(arguments[1]) if len(arguments) > 1 else wanted.seeds)
    found = [run(HOME / name / f"seed{seed}", seed, wanted) for seed in seeds]
    return report(name, wanted, found)


def run(folder: Path, seed: int, wanted: Reproduction) -> dict[str, dict[str, Any]]:
    """Train and evaluate with one seed; the ``result.json`` of each evaluation by its name."""
    found = {"test": folder / "result.json"}
    train = ["mmml-train", *wanted.train, f"seed={seed}", f"hydra.run.dir={folder}"]
    execute(
        [*train[:1], f"resume={folder}"] if (folder / "checkpoints" / "last.ckpt").exists() else train, found["test"]
    )
    for name, overrides in wanted.evaluations.items():
        found[name] = folder / "eval" / name / "result.json"
        execute(["mmml-eval", f"checkpoint={folder}", f"name={name}", *overrides], found[name])
    return {name: json.loads(path.read_text()) for name, path in found.items()}


def execute(command: list[str], result: Path) -> None:
    """Run a command, unless its result says that it is done."""
    if result.exists() and json.loads(result.read_text())["status"] == "completed":
        return
    print("$", shlex.join(command), flush=True)
    subprocess.run([str(BIN / command[0]), *command[1:]], check=True)


def score(result: dict[str, Any], goal: Goal) -> float:
    """The learned predictor's number, in per cent."""
    for cell in result["panel"]:
        place = (mapping(cell), cell["ways"], cell["metric"], cell["baseline"])
        if place == (goal.mapping, goal.ways, "accuracy", False):
            return 100 * float(cell["mean"])
    raise LookupError(f"there is no accuracy of {goal.mapping}, {goal.ways}-way")


def report(name: str, wanted: Reproduction, found: list[dict[str, dict[str, Any]]]) -> int:
    """Print the table; returns 1 if a goal is missed."""
    seconds = sum(r["test"]["seconds"] for r in found) / len(found)
    print(f"\n{name}: {date.today()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores, ", end="")
    print(f"{len(found)} seeds, {seconds:.0f} s of training and test each\n")
    print("| | mean | deviation over seeds | each seed | goal | |\n| --- | --- | --- | --- | --- | --- |")
    missed = False
    for goal in wanted.goals:
        scores = [score(r[goal.evaluation], goal) for r in found]
        reached = statistics.mean(scores) >= goal.at_least
        missed |= not reached
        shown = [100 - s if goal.error else s for s in scores]
        spread = f"{statistics.stdev(shown):.2f}" if len(shown) > 1 else "–"
        limit = f"at most {100 - goal.at_least:.1f}" if goal.error else f"at least {goal.at_least:.1f}"
        what = f"{'error' if goal.error else 'accuracy'} %, {goal.mapping} {goal.ways}-way, {goal.evaluation}"
        each = ", ".join(f"{s:.1f}" for s in shown)
        print(
            f"| {what} | {statistics.mean(shown):.2f} | {spread} | {each} | {limit} | {'' if reached else 'missed'} |"
        )
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
