"""Check that no file is damaged by a kill: ``python scripts/kill.py [COUNT]``.

Starts mmml-train, mmml-eval, mmml-predict, mmml-data check and mmml-report on its own small files
and kills them by SIGKILL, COUNT times in all (200 by default). Half of the kills are at random
moments, and half just before or after a call that writes or renames a file. After each kill every
file must be complete: the old one or the new one. Then the command is repeated, or the run is
resumed (every third one is killed once more). The results must be the same, bit by bit, as without
a kill. Prints a line for each command; exits with 1 if anything is broken. All modules are imported
once, and each command runs in a fork of this process.
"""

import csv
import io
import itertools
import json
import random
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
import yaml
from forks import Moment, import_all, play
from PIL import Image

from mmml import cli

COUNT = 200
UNFINISHED = (".tmp", ".part")
TIMES = {"seconds", "overrides"}  # keys that may differ in a resumed run
TRAIN = shlex.split("""dataset=manifest dataset.root=data encoder=mlp encoder.width=16
episode.train.ways=4 episode.train.mappings=[text:text] episode.eval.mappings=[text:text]
episode.train.shots=1 episode.train.queries=1 episode.eval.ways=[2] episode.eval.shots=[1]
episode.eval.queries=1 trainer.steps=8 trainer.warmup=2 trainer.validate_every=4
trainer.checkpoint_every=2 evaluation.episodes=5 evaluation.validation_episodes=5
evaluation.baselines=[] evaluation.controls=false hydra.run.dir=run""")
EVAL = ["checkpoint=run", "evaluation.episodes=8", "name=again"]
PREDICT = ["support=data", "query=data", "predict.mapping=image:image"]


@dataclass(frozen=True)
class Command:
    """A command to kill.

    Attributes:
        program: of :mod:`mmml.cli`.
        arguments: of the program.
        results: patterns of the files that must in the end be the same as without a kill.
        again: folder → arguments that repeat the command after a kill; None if they are the same.
        trained: whether it needs a finished run.
    """

    program: Callable[[], None]
    arguments: list[str]
    results: tuple[str, ...]
    again: Callable[[Path], list[str]] | None = None
    trained: bool = False


def resume(folder: Path) -> list[str]:
    """Return the arguments to resume a run, or to start again if none has begun."""
    return ["resume=run"] if (folder / "run" / "run.json").exists() else TRAIN


def evaluate(folder: Path) -> list[str]:
    """Return the arguments to evaluate again; unfinished results would be refused."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder / "run" / "eval" / "again")
    return EVAL


COMMANDS = {
    "train": Command(
        cli.train,
        TRAIN,
        ("run/checkpoints/*.ckpt", "run/metrics.jsonl", "run/result.json", "run/eval/test/*"),
        resume,
    ),
    "eval": Command(
        cli.evaluate,
        EVAL,
        ("run/eval/again/e*", "run/eval/again/result.json"),
        evaluate,
        trained=True,
    ),
    "predict": Command(cli.predict, PREDICT, ("predictions.csv",)),
    "check": Command(cli.data, ["check", "data"], ("data.html",)),
    "report": Command(cli.report, ["run"], ("run/report.html",), trained=True),
}
ORDER = ("train", "eval", "predict", "check", "report", "train")  # the order of kills


def write_data(folder: Path) -> None:
    """Write twelve classes of four small pictures, each with a text."""
    rng, lines = np.random.default_rng(0), ["image_file_name,label,text"]
    folder.mkdir(parents=True)
    for label, number in itertools.product(range(12), range(4)):
        name = f"{label}-{number}.png"
        Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).save(folder / name)
        lines.append(f"{name},class {label},text {number} of {label}")
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n")


def write_old(folder: Path) -> None:
    """Write the files of earlier commands, which new ones replace."""
    (folder / "predictions.csv").write_text("id,prediction\nold,old\n")
    (folder / "data.html").write_text("<title>mmml-data</title>old</html>\n")
    if (folder / "run").exists():
        (folder / "run" / "report.html").write_text("old</html>\n")


def files_of(folder: Path) -> dict[str, bytes]:
    """Return all files that mmml wrote, by path, except those whose names say that they are
    unfinished.
    """
    own = {"log.txt", "course.txt"}
    paths = [
        p
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name not in own and p.parts[-2] != "data"
    ]
    kept = [p for p in paths if not any(part.endswith(UNFINISHED) for part in p.parts)]
    return {str(p.relative_to(folder)): p.read_bytes() for p in kept}


def content(name: str, data: bytes) -> Any:
    """Return the content of a file without times; raises an error if the file is incomplete."""
    suffix = Path(name).suffix
    if suffix == ".json":
        return without_times(json.loads(data))
    if suffix == ".jsonl":
        return [
            without_times(json.loads(line))
            for line in data.decode().splitlines(keepends=True)
            if full(line)
        ]
    if suffix == ".ckpt":
        return without_times(torch.load(io.BytesIO(data), weights_only=True))
    if suffix == ".parquet":
        return pq.read_table(io.BytesIO(data)).to_pylist()
    if suffix in (".npy", ".npz"):
        np.load(io.BytesIO(data), allow_pickle=False)
    elif suffix == ".yaml":
        return yaml.safe_load(data)
    elif suffix == ".csv":
        rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
        assert rows and all(len(row) == len(rows[0]) for row in rows) and full(data.decode())
    elif suffix == ".html":
        assert data.rstrip().endswith(b"</html>")
    return data


def full(text: str) -> bool:
    """Raise an error unless the last line is complete."""
    assert text.endswith("\n"), f"cut short: …{text[-40:]!r}"
    return True


def without_times(value: Any) -> Any:
    """Return the same content without times, with tensors as lists of bytes, so that it can be
    compared.
    """
    if isinstance(value, dict):
        return {k: without_times(v) for k, v in value.items() if k not in TIMES}
    if isinstance(value, list | tuple):
        return [without_times(v) for v in value]
    return value.numpy().tobytes() if isinstance(value, torch.Tensor) else value


class Trials:
    """The kills of one command, each in the same folder, which is renewed.

    Attributes:
        counts: how often each thing was done.
        broken: a message for each failure.
    """

    def __init__(self, name: str, home: Path):
        self.name, self.command = name, COMMANDS[name]
        self.start, self.here = home / name / "start", home / name / "here"
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []
        if self.command.trained and (home / "trained").exists():
            shutil.copytree(home / "trained", self.start)
        else:
            write_data(self.start / "data")
        if self.command.trained and not (home / "trained").exists():
            self.must(cli.train, TRAIN, self.start)
            shutil.copytree(self.start, home / "trained")
        write_old(self.start)
        self.old = files_of(self.start)
        self.renew()
        self.must(self.command.program, self.command.arguments, self.here)
        calls, seconds = (self.here / "course.txt").read_text().split()
        self.calls, self.seconds, self.new = int(calls), float(seconds), files_of(self.here)
        self.must(self.command.program, self.again(), self.here)
        self.wanted = self.results()

    def again(self) -> list[str]:
        """Return the arguments that repeat the command after a kill."""
        return (
            self.command.arguments if self.command.again is None else self.command.again(self.here)
        )

    def must(self, program: Callable[[], None], arguments: list[str], folder: Path) -> None:
        """Run a command without a kill; it must succeed."""
        if play(program, arguments, folder, Moment()) != 0:
            raise RuntimeError(
                f"{' '.join(arguments)} failed:\n{(folder / 'log.txt').read_text()[-1000:]}"
            )

    def renew(self) -> None:
        """Renew the folder, so that the command has not begun."""
        shutil.rmtree(self.here, ignore_errors=True)
        shutil.copytree(self.start, self.here)

    def results(self) -> dict[str, Any]:
        """Return the results that must be the same in the end."""
        paths = [p for pattern in self.command.results for p in sorted(self.here.glob(pattern))]
        return {str(p.relative_to(self.here)): content(p.name, p.read_bytes()) for p in paths}

    def kill(self, number: int) -> None:
        """Kill the command once or twice, check the files, and repeat the command."""
        rng = random.Random(f"{self.name} {number}")
        self.renew()
        share = self.strike(rng, self.command.arguments)
        while share is None:  # it ended before the kill
            self.renew()
            share = self.strike(rng, self.command.arguments)
        self.counts["kills"] += 1
        self.counts[f"quarter {int(4 * share)}"] += 1
        self.look(f"{self.name} {number}")
        if number % 3 == 2 and self.strike(rng, self.again()) is not None:
            self.counts["second kills"] += 1
            self.look(f"{self.name} {number}, killed twice")
        self.compare(f"{self.name} {number}")

    def strike(self, rng: random.Random, arguments: list[str]) -> float | None:
        """Kill the command at a random place; return its share of the course, or None if the
        command ended before.
        """
        share, call = rng.random(), rng.random() < 0.5
        moment = Moment(call=int(share * self.calls), before=rng.random() < 0.5)
        if not call:
            moment = Moment(share * self.seconds)
        return share if play(self.command.program, arguments, self.here, moment) is None else None

    def look(self, message: str) -> None:
        """Check that every file is complete, and that each earlier file is still there or was
        replaced.
        """
        found = files_of(self.here)
        self.counts["files"] += len(found)
        for name, data in found.items():
            try:
                content(name, data)
            except Exception as error:  # any error: the file cannot be read
                self.broken.append(f"{message}: {name} is broken ({type(error).__name__}: {error})")
        kept = set(found.values())
        for name, data in self.old.items():
            if data not in kept and (
                data in self.new.values() or found.get(name) != self.new[name]
            ):
                self.broken.append(f"{message}: {name} is lost")

    def compare(self, message: str) -> None:
        """Repeat the command: it must succeed, with the same results as without a kill."""
        try:
            self.must(self.command.program, self.again(), self.here)
        except RuntimeError as error:
            self.broken.append(f"{message}: {error}")
            return
        self.counts["compared"] += 1
        found = self.results()
        differs = [
            name for name in {**self.wanted, **found} if found.get(name) != self.wanted.get(name)
        ]
        self.broken += [
            f"{message}: {name} differs from that of a course without a kill" for name in differs
        ]
        left = [p.name for p in (self.here / "run").rglob("*.tmp")] if self.name == "train" else []
        self.broken += [f"{message}: {name} is left over" for name in left]

    def line(self) -> str:
        """Return a summary in one line."""
        c, quarters = self.counts, "/".join(str(self.counts[f"quarter {i}"]) for i in range(4))
        return (
            f"{self.name}: {c['kills']} kills ({quarters} by quarter of its course), "
            f"{c['second kills']} second kills, {c['files']:,} files looked at, {c['compared']} "
            f"ends compared, {len(self.broken)} broken"
        )


def main(arguments: list[str]) -> int:
    """Kill the commands and print a line for each; return the exit code."""
    if (
        any(not argument.isdecimal() or not int(argument) for argument in arguments)
        or len(arguments) > 1
    ):
        print(__doc__)
        return 0 if {"-h", "--help"} & set(arguments) else 2
    total = int(arguments[0]) if arguments else COUNT
    import_all()
    numbers = Counter(itertools.islice(itertools.cycle(ORDER), total))
    broken: list[str] = []
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        for name, count in numbers.items():
            trials = Trials(name, Path(home).resolve())
            for number in range(count):
                trials.kill(number)
            print(trials.line(), *trials.broken, sep="\n  ", flush=True)
            broken += trials.broken
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
