"""Run an experiment again and record its figures: ``python scripts/reproduce.py NAME [CELLS]``.

Without a name, lists the experiments that can be reproduced. Each command is printed before it is
run. Commands that have finished before (in ``outputs/reproduce/NAME``) are skipped, so that an
interrupted reproduction can be continued. At the end a table in Markdown is printed, and
``docs/results/NAME.json`` is written (``git diff`` shows what changed). CELLS runs only the first
cells (seeds, speakers or other cases), and writes nothing. Exits with 1 if a figure is worse than
the published one, with 2 if a run fails. ``python scripts/reproduce.py --tables`` makes the tables
of ``docs/results.md`` from ``docs/results/*.json``.
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

from readings import Ran
from reproductions import REPRODUCTIONS, GridCell, Reproduction
from results import PAGE, Figure, Result, load_all, page, save, table

from mmml.errors import UserError, did_you_mean
from mmml.provenance import git_commit

HOME = Path("outputs") / "reproduce"
BIN = Path(sys.executable).parent


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    if not arguments or {"-h", "--help"} & set(arguments):
        names = (
            f"  {name:34} {len(r.cells):2} runs: {r.experiment}"
            for name, r in REPRODUCTIONS.items()
        )
        print(__doc__, *names, sep="\n")
        return 0
    name, *rest = arguments
    if name == "--tables":
        PAGE.write_text(page(PAGE.read_text(), load_all(REPRODUCTIONS), REPRODUCTIONS))
        return 0
    if name not in REPRODUCTIONS:
        return refuse(f"{name} is nothing to reproduce{did_you_mean(name, REPRODUCTIONS)}")
    if len(rest) > 1 or not all(r.isdigit() and int(r) for r in rest):
        return refuse(
            f"{' '.join(rest)} is no number of cells: write NAME, or NAME and how many of its cells"
        )
    wanted = REPRODUCTIONS[name]
    chosen = dict(list(wanted.cells.items())[: int(rest[0]) if rest else None])
    try:
        found = {cell: play(HOME / name / cell, chosen[cell]) for cell in chosen}
        result = result_of(name, replace(wanted, cells=chosen), found)
    except UserError as error:
        return refuse(str(error))
    except subprocess.CalledProcessError as error:  # the command has printed why
        return 130 if error.returncode == 130 else 2
    except KeyboardInterrupt:
        return 130
    print(f"\n{table({name: result}, REPRODUCTIONS)}")
    if len(chosen) == len(wanted.cells):
        save(name, result)
    return int(any(is_worse(figure) for figure in result.figures))


def refuse(message: str) -> int:
    """Print an error message; return the exit code 2."""
    print(f"{Path(sys.argv[0]).name}: {message}", file=sys.stderr)
    return 2


def is_worse(figure: Figure) -> bool:
    """Whether the published value is better than ours."""
    if figure.published is None:
        return False
    better = figure.published.value - figure.value
    return better > 0 if figure.higher_is_better else better < 0


def commands(folder: Path, cell: GridCell) -> list[list[str]]:
    """Return the commands that train and evaluate a cell."""
    options = [option.replace("HOME", str(folder.parent)) for option in cell.options]
    train = ["mmml-train", *options, f"hydra.run.dir={folder}"]
    return [
        train,
        *(
            ["mmml-eval", f"checkpoint={folder}", f"name={n}", *o]
            for n, o in cell.evaluations.items()
        ),
    ]


def play(folder: Path, cell: GridCell) -> Ran:
    """Train and evaluate once, or continue where that was interrupted."""
    train, *evaluations = commands(folder, cell)
    begun = (folder / "checkpoints" / "last.ckpt").exists()
    execute(["mmml-train", f"resume={folder}"] if begun else train, folder, aside=not begun)
    folders = {"test": folder} | {name: folder / "eval" / name for name in cell.evaluations}
    for name, command in zip(cell.evaluations, evaluations, strict=True):
        execute(command, folders[name])
    return Ran(cell.unit, cell.group, folders)


def execute(command: list[str], folder: Path, aside: bool = True) -> None:
    """Run a command, unless its result exists; an unfinished result is first moved ``aside``."""
    result = folder / "result.json"
    if result.exists() and json.loads(result.read_text())["status"] == "completed":
        return
    if aside and folder.exists():
        folder.rename(folder.with_name(f"{folder.name}-interrupted-{time.time_ns()}"))
    print("$", shlex.join(command), flush=True)
    subprocess.run([str(BIN / command[0]), *command[1:]], check=True)


def result_of(name: str, wanted: Reproduction, found: dict[str, Ran]) -> Result:
    """Return the figures of all cells and how they were measured."""
    runs = [ran.folders["test"] for ran in found.values()]
    figures = [figure for reading in wanted.figures for figure in reading(list(found.values()))]
    commits = {str(json.loads((folder / "run.json").read_text())["git"]) for folder in runs} or {
        str(git_commit())
    }
    return Result(
        topic=wanted.topic,
        experiment=wanted.experiment,
        command=f"python scripts/reproduce.py {name}",
        seeds=sorted({cell.seed for cell in wanted.cells.values()}),
        commit=", ".join(sorted(commit[:7] for commit in commits)),
        date=str(date.today()),
        machine=f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        seconds=round(statistics.mean(map(seconds_of, runs))) if runs else None,
        figures=[f if f.over else replace(f, over=wanted.over) for f in figures],
    )


def seconds_of(folder: Path) -> float:
    """Return the seconds of training and test, over all jobs from the first to the last resume."""
    return sum(json.loads(path.read_text())["seconds"] for path in folder.glob("result*.json"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
