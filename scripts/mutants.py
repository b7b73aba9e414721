"""Check that the tests find planted defects: ``python scripts/mutants.py [PART ...]`` plants them
one at a time in a copy of mmml.

``scripts/mutants/*.yaml`` list defects that a person could introduce: ``what`` it is, the ``file``
below ``mmml/``, the ``old`` text, which occurs there once, the ``new`` text, and the ``tests`` that
must fail. PART takes only files that begin so (``evaluation``, ``methods/metric/learner.py``).
Exits with 1 if a defect is not found or no longer applies, or if a test fails without any defect.
Tests of real data need ``MMML_DATA``. All defects take 40 minutes on two cores.
"""

import importlib
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from queue import Empty
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TABLE = Path(__file__).with_suffix("")
MOST = 20  # maximum number of defects in a file
SECONDS = 600  # time limit for the tests of one defect
HEAVY = (
    "torch._dynamo",
    "torch.nn",
    "scipy.stats",
    "scipy.optimize",
    "sklearn.manifold",
    "matplotlib.figure",
)
HEAVY += (
    "pyarrow.parquet",
    "omegaconf",
    "rich.console",
    "PIL.Image",
    "pytest",
    "jinja2",
    "sacrebleu",
)
FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Slip:
    """A planted defect: one entry of the table, see above."""

    what: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def fault(self) -> str | None:
        """Return why it cannot be planted; None if it can."""
        path = ROOT / "mmml" / self.file
        times = path.read_text().count(self.old) if path.exists() else 0
        if times != 1:
            return f"its old text stands {times} times in mmml/{self.file}"
        return None if self.tests else "it names no test"

    @property
    def message(self) -> str:
        """Return its line of the list."""
        return f"{self.file}: {self.what}"


def main(parts: list[str]) -> int:
    """Run the command line; return the exit code."""
    slips = [s for s in read() if not parts or s.file.startswith(tuple(parts))]
    crowded = [f for f, number in Counter(s.file for s in slips).items() if number > MOST]
    faults = [f"{s.message}: {fault}" for s in slips if (fault := s.fault())]
    faults += [f"{file}: more than {MOST} slips" for file in crowded]
    if faults or not slips:
        print(*faults or ["no slip is listed of these parts"], sep="\n")
        return 1
    every = sorted({test for slip in slips for test in slip.tests})
    print(
        f"{len(slips)} slips in {len({s.file for s in slips})} files, {len(every)} tests",
        flush=True,
    )
    for name in HEAVY:  # once, before all other processes are forked
        importlib.import_module(name)
    os.environ["OMP_NUM_THREADS"] = "1"
    with copies(os.cpu_count() or 1) as folders:
        if broken := [
            test for test, failed in play(folders[0], every).items() if failed is not False
        ]:
            print("not passed without any slip:", *broken, sep="\n  ")
            return 1
        uncaught = [line for line in plant(folders, slips) if line]
    print(f"{len(slips) - len(uncaught)} caught, {len(uncaught)} not caught")
    return int(bool(uncaught))


def read() -> list[Slip]:
    """Return the table of planted defects."""
    found = [
        entry for path in sorted(TABLE.glob("*.yaml")) for entry in yaml.safe_load(path.read_text())
    ]
    return [Slip(**entry | {"tests": tuple(entry["tests"])}) for entry in found]


@contextmanager
def copies(number: int) -> Iterator[list[Path]]:
    """Make this many copies of the working tree: tracked files and new ones that git does not
    ignore.
    """
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(
        listed, cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    with tempfile.TemporaryDirectory() as home:
        folders = [Path(home, str(n)) for n in range(number)]
        for folder, name in ((f, n) for f in folders for n in names if (ROOT / n).is_file()):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
        yield folders


def plant(folders: list[Path], slips: Iterable[Slip]) -> Iterator[str]:
    """Plant all defects, one in each folder at a time. Print each result as soon as it is known,
    and yield a message if the defect is not found, else an empty text.
    """
    todo, done = FORK.Queue(), FORK.Queue()
    for slip in slips:
        todo.put(slip)
    workers = [FORK.Process(target=work, args=(folder, todo, done)) for folder in folders]
    for worker in workers:
        worker.start()
    for _ in slips:
        slip, passed = done.get()
        line = f"NOT CAUGHT {slip.message}, by {', '.join(passed)}" if passed else ""
        print(line or f"caught {slip.message}", flush=True)
        yield line
    for worker in workers:
        worker.join()


def work(folder: Path, todo: Any, done: Any) -> None:
    """Plant defects until none is left, and report which of their tests did not fail."""
    while True:
        try:
            slip = todo.get(timeout=1)
        except Empty:
            return
        path = folder / "mmml" / slip.file
        before = path.read_text()
        path.write_text(before.replace(slip.old, slip.new))
        done.put((slip, [test for test, failed in play(folder, slip.tests).items() if not failed]))
        path.write_text(before)


def play(folder: Path, tests: Iterable[str]) -> dict[str, bool | None]:
    """Run tests of a copy in a new process: return whether each failed in some case; None if it did
    not run.
    """
    results = FORK.Queue()
    process = FORK.Process(target=run, args=(folder, list(tests), results))
    process.start()
    try:
        outcomes = results.get(timeout=SECONDS)
    except Empty:
        outcomes = {}
        process.kill()
    process.join()
    by_test: dict[str, bool | None] = {}
    for test in tests:
        of_it = [failed for name, failed in outcomes.items() if test in (name, name.split("[")[0])]
        by_test[test] = any(of_it) if of_it else None
    return by_test


class Outcomes:
    """A pytest plugin that records whether each test failed, in any of its phases."""

    def __init__(self) -> None:
        self.failed: dict[str, bool] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Record the result of a phase of a test."""
        # A skipped test does not count.
        if report.failed or (report.when == "call" and report.passed):
            self.failed[report.nodeid] = self.failed.get(report.nodeid, False) or report.failed


def run(folder: Path, tests: list[str], results: Any) -> None:
    """Run the tests in the new process."""
    import pytest

    os.chdir(folder)
    os.environ["PYTHONPATH"] = str(folder)
    sys.path[:0] = [str(folder)]
    sys.dont_write_bytecode = True
    sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 (as long as the process)
    outcomes = Outcomes()
    try:
        pytest.main(
            [*tests, "-q", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"],
            plugins=[outcomes],
        )
    finally:
        results.put(outcomes.failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
