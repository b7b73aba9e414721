"""Compare the numbers of short runs between two commits: ``python scripts/golden.py BASE``.

``scripts/golden/runs.yaml`` lists the runs, with today's names. Each is run with the code of the
commit BASE and with that of this checkout, on the same machine, in float32 with one thread. All
numbers of ``metrics.jsonl``, ``result.json`` and the predictions are compared: they must be equal
bit by bit, or within 1e-6 of the larger one. ``scripts/golden/names.yaml`` lists the names that are
different in BASE. Prints a line for each run; exits with 1 if any differs.

``python scripts/golden.py --write`` runs those that the tests repeat (``kept: true``) and writes
their numbers to ``tests/golden/``. ``--only NAME`` takes one run. Runs on real data need
``MMML_DATA``, and are skipped without it.
"""

import argparse
import csv
import gzip
import json
import os
import shlex
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TABLES = Path(__file__).with_suffix("")
KEPT = ROOT / "tests" / "golden"
TOLERANCE = 1e-6
PROGRAM = (
    "import sys; sys.argv[0] = {name!r}; from {module} import {function} as program; program()"
)

Numbers = dict[str, float | str | None]
"""Values by their position in the files."""

Execute = Callable[[str, list[str], Path], tuple[int, str]]
"""A function from a console script, its arguments and a working folder to the exit code and the
output.
"""


@dataclass(frozen=True)
class Run:
    """One entry of ``runs.yaml``.

    Attributes:
        name: of the run.
        commands: run in one folder, one after the other.
        kept: whether the tests repeat it.
        real: whether it needs ``MMML_DATA``.
        values: as :attr:`Names.values`, for this run only.
    """

    name: str
    commands: tuple[str, ...]
    kept: bool = False
    real: bool = False
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Names:
    """The names that are different in BASE.

    Attributes:
        commands: parts of commands, from today's names to those of BASE.
        fields: keys of results, from those of BASE to today's; an empty one is left out.
        values: parts of texts in results, from those of BASE to today's.
        added: keys of results that BASE does not have.
    """

    commands: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)
    added: tuple[str, ...] = ()

    def command(self, text: str) -> str:
        """Return a command with the names of BASE."""
        return replaced(text, self.commands)

    def result(self, value: Any) -> Any:
        """Return a result of BASE with today's names."""
        if isinstance(value, dict):
            named = {self.fields.get(k, k): self.result(v) for k, v in value.items()}
            return {k: v for k, v in named.items() if k}
        if isinstance(value, list):
            return [self.result(v) for v in value]
        return replaced(value, self.values) if isinstance(value, str) else value


def replaced(text: str, parts: Mapping[str, str]) -> str:
    """Return the text with some of its parts replaced, in the given order."""
    for part, other in parts.items():
        text = text.replace(part, other)
    return text


def read_runs() -> tuple[str, list[Run]]:
    """Return the options that all trainings share, and the runs."""
    table = yaml.safe_load((TABLES / "runs.yaml").read_text())
    runs = [Run(name, tuple(r.pop("commands")), **r) for name, r in table["runs"].items()]
    return table["train"], runs


def of_tree(tree: Path, cache: Path) -> Execute:
    """Return a function that runs commands with the code of a source tree, each in a new
    process.
    """
    scripts = tomllib.loads((tree / "pyproject.toml").read_text())["project"]["scripts"]
    env = os.environ | {"PYTHONPATH": str(tree), "MMML_CACHE": str(cache), "OMP_NUM_THREADS": "1"}

    def execute(name: str, words: list[str], folder: Path) -> tuple[int, str]:
        module, function = scripts[name].split(":")
        program = PROGRAM.format(name=name, module=module, function=function)
        arguments = [sys.executable, "-c", program, *words]
        done = subprocess.run(
            arguments, check=False, cwd=folder, env=env, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    return execute


def play(execute: Execute, run: Run, shared: str, names: Names, folder: Path) -> Numbers:
    """Run the commands of a run in an empty folder; return all numbers that they wrote.

    Raises:
        RuntimeError: a command failed.
    """
    write_data(folder)
    if names.commands or names.values:
        names = replace(names, values={**names.values, **run.values})
    for command in run.commands:
        name, *words = shlex.split(names.command(command.replace("SHARED", shared)))
        code, printed = execute(name, words, folder)
        if code:
            raise RuntimeError(f"{run.name}: {command}\n{printed[-2000:]}")
    return dict(read_numbers(folder, names))


def write_data(folder: Path) -> None:
    """Write twelve classes of six small pictures, each with a text, a score and a group; and
    pictures without a label.
    """
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, classes in (("data", 12), ("new", 4)):
        (folder / name).mkdir()
        lines = ["image_file_name,text,score,group" + ",label" * (name == "data")]
        for number in range(classes * 6):
            label = number % classes
            pixels = rng.integers(0, 128, (12, 12, 3)) + 10 * label
            Image.fromarray(pixels.astype(np.uint8)).save(folder / name / f"{number}.png")
            row = f"{number}.png,text {number} of {label},{rng.normal() + label:.3f},g{number // 2}"
            lines.append(row + f",class {label}" * (name == "data"))
        (folder / name / "metadata.csv").write_text("\n".join(lines) + "\n")


def read_numbers(folder: Path, names: Names) -> Iterator[tuple[str, float | str | None]]:
    """Return all numbers in the folder of a run, except times, by their position."""
    for path in sorted(folder.rglob("*")):
        place = str(path.relative_to(folder))
        if path.name == "metrics.jsonl":
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            yield from flat(place, names.result(lines), names)
        elif path.name == "result.json":
            yield from flat(place, names.result(of_schema_2(json.loads(path.read_text()))), names)
        elif path.suffix == ".csv" and path.parent == folder:
            with path.open(newline="") as file:
                yield from flat(place, names.result(list(csv.DictReader(file))), names)


def of_schema_2(result: dict[str, Any]) -> dict[str, Any]:
    """Return a ``result.json`` of an older schema, which had two tables of results, with one
    table.
    """
    if result["schema"] == 2:
        return result
    points = result.pop("robustness", [])
    for point in points:
        support, query = point.pop("mapping").split(":")
        point |= {
            "support": support.split("+"),
            "query": query.split("+"),
            "split": "test",
            "evaluator": "robustness",
        }
    for row in (rows := result.pop("panel")):
        of_task = {"matching": "matching", "summary": "keyframes", "optimization": "optimization"}
        row["evaluator"] = "gallery" if row["candidates"] else of_task.get(row["task"], "few_shot")
        row["task"] = "gallery" if row["candidates"] else row["task"]
    for verdict in result["verdicts"]:
        verdict |= {"evaluator": "few_shot", "split": "test"}
    tables = {
        "results": [*rows, *points],
        "differences": result["differences"],
        "verdicts": result["verdicts"],
    }
    optional = ("step", "subset", "target", "candidates", "answers", "ci95_classes", "amount")
    return result | {
        name: [
            {k: v for k, v in row.items() if k not in optional or v is not None} for row in table
        ]
        for name, table in tables.items()
    }


def flat(place: str, value: Any, names: Names) -> Iterator[tuple[str, float | str | None]]:
    """Return numbers (and texts, in predictions) by their position; rows of a list are identified
    by what they describe.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("seconds", "schema", "overrides", "measured", *names.added):
                yield from flat(f"{place} {key}", inner, names)
    elif isinstance(value, list) and all(isinstance(v, dict) for v in value):
        times: Counter[str] = Counter()
        for given in value:
            amount = given.get("amount")  # of a corruption: 0 or 0.0
            row = given if amount is None else given | {"amount": f"{amount:g} of 1"}
            about = ",".join(
                f"{k}={v}" for k, v in sorted(row.items()) if is_about(v) and k not in names.added
            )
            times[about] += 1
            rest = {k: v for k, v in row.items() if not is_about(v)}
            yield from flat(
                f"{place}[{about}]" + f"#{times[about]}" * (times[about] > 1), rest, names
            )
    else:
        yield place, value if isinstance(value, int | float | None) else str(value)


def is_about(value: Any) -> bool:
    """Whether a value describes a row, and is no score."""
    return isinstance(value, bool | int | str | list) and not is_number(value)


def is_number(value: Any) -> bool:
    """Whether a text is a decimal fraction, as in tables of predictions."""
    return (
        isinstance(value, str)
        and value.replace(".", "", 1).lstrip("-").isdecimal()
        and "." in value
    )


def differences(
    base: Numbers, head: Numbers, tolerance: float, floor: float = 1e-12
) -> tuple[list[str], float]:
    """Return the differences, one line each, and the largest relative difference of two numbers.

    Args:
        base: numbers of one tree.
        head: numbers of the other tree.
        tolerance: relative differences up to this are ignored.
        floor: relative differences are computed as if the larger number were at least this.
    """
    # Schema 2 leaves out what does not apply, where schema 1 wrote null.
    lines = [f"only before: {k}" for k, v in base.items() if k not in head and v is not None] + [
        f"only now: {k}" for k, v in head.items() if k not in base and v is not None
    ]
    largest = 0.0
    for key in (k for k in base if k in head):
        a, b = (float(v) if is_number(v) else v for v in (base[key], head[key]))
        if isinstance(a, int | float) and isinstance(b, int | float):
            difference = abs(a - b) / max(abs(a), abs(b), floor)
            largest = max(largest, difference)
            if difference > tolerance:
                lines.append(f"{a} → {b}: {key}")
        elif a != b:
            lines.append(f"{a} → {b}: {key}")
    return lines, largest


def compare(base: Path, runs: Iterable[Run], shared: str, names: Names, home: Path) -> int:
    """Run the runs with both trees and print a line for each; return how many differ."""
    failed = 0
    sides = [
        (of_tree(base, home / "cache-base"), names),
        (of_tree(ROOT, home / "cache"), Names(added=names.added)),
    ]
    with ThreadPoolExecutor(len(sides)) as pool:
        for run in runs:
            folders = [Path(tempfile.mkdtemp(dir=home)) for _ in sides]
            played = [
                pool.submit(play, e, run, shared, n, f)
                for (e, n), f in zip(sides, folders, strict=True)
            ]
            before, now = (future.result() for future in played)
            lines, largest = differences(before, now, TOLERANCE)
            outcome = "equal" if not lines and largest == 0 else f"differs by up to {largest:.0e}"
            print(
                f"{run.name}: {len(now):,} values, {outcome}", *lines[:10], sep="\n  ", flush=True
            )
            failed += bool(lines)
    return failed


def write(runs: Iterable[Run], shared: str, home: Path) -> None:
    """Run the runs and write their numbers for the tests."""
    KEPT.mkdir(exist_ok=True)
    for run in (r for r in runs if r.kept):
        folder = Path(tempfile.mkdtemp(dir=home))
        numbers = kept(play(of_tree(ROOT, home / "cache"), run, shared, Names(), folder))
        content = json.dumps(numbers, ensure_ascii=False, sort_keys=True).encode()
        (KEPT / f"{run.name}.json.gz").write_bytes(gzip.compress(content, mtime=0))
        print(f"{run.name}: {len(numbers):,} values", flush=True)


def read_kept(name: str) -> Numbers:
    """Return the numbers of a run that were written for the tests."""
    numbers: Numbers = json.loads(gzip.decompress((KEPT / f"{name}.json.gz").read_bytes()))
    return numbers


def kept(numbers: Numbers) -> Numbers:
    """Return the numbers that the tests compare, without intervals and differences, which follow
    from them.
    """
    derived = (" ci95", " differences[", " verdicts[")
    return {k: v for k, v in numbers.items() if not any(part in k for part in derived)}


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", nargs="?", help="a commit")
    parser.add_argument("--write", action="store_true", help="write tests/golden anew")
    parser.add_argument(
        "--only", metavar="NAME", action="append", help="only this run; may be given several times"
    )
    options = parser.parse_args()
    if bool(options.base) == options.write:
        parser.error("give a commit to compare with, or --write")
    shared, runs = read_runs()
    if unknown := set(options.only or ()) - {run.name for run in runs}:
        parser.error(f"--only {min(unknown)}: there is no such run")
    runs = [run for run in runs if not options.only or run.name in options.only]
    runs = [run for run in runs if not run.real or "MMML_DATA" in os.environ]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        if options.write:
            write(runs, shared, Path(home))
            return 0
        tree = Path(home) / "base"
        subprocess.run(
            ["git", "-C", ROOT, "worktree", "add", "--quiet", "--detach", tree, options.base],
            check=True,
        )
        try:
            names = Names(**yaml.safe_load((TABLES / "names.yaml").read_text()))
            return 1 if compare(tree, runs, shared, names, Path(home)) else 0
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)


if __name__ == "__main__":
    sys.exit(main())
