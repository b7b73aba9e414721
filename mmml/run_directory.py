"""The run directory: everything that one run wrote, and the only place that names its files."""

import json
import os
import tempfile
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from mmml.errors import UserError


class RunDirectory:
    """The files of a run.

    Args:
        path: an existing folder, or one that :meth:`create` will make.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)

    def __str__(self) -> str:
        return str(self.path)

    config = property(lambda self: self.path / "config.yaml")
    info = property(lambda self: self.path / "run.json")
    log = property(lambda self: self.path / "train.log")
    metrics = property(lambda self: self.path / "metrics.jsonl")
    last = property(lambda self: self.path / "checkpoints" / "last.ckpt")
    best = property(lambda self: self.path / "checkpoints" / "best.ckpt")
    result = property(lambda self: self.path / "result.json")
    report = property(lambda self: self.path / "report.html")
    exhibits = property(lambda self: self.path / "eval" / "test" / "exhibits.json")

    def evaluation(self, name: str) -> Path:
        """The folder of one evaluation."""
        return self.path / "eval" / name

    @property
    def is_run(self) -> bool:
        """Whether a run has written here, finished or not."""
        return self.info.exists() or self.result.exists()

    def create(self) -> "RunDirectory":
        """Make the folders; refuse a place that cannot be written or that holds a run already."""
        if self.is_run:
            raise UserError(f"hydra.run.dir={self} holds a run already: choose another folder, or resume={self}")
        check_writable(self.path)
        self.last.parent.mkdir(parents=True, exist_ok=True)
        return self

    def write_config(self, config: dict[str, Any]) -> None:
        """The resolved config, as YAML."""
        write_text(self.config, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    def read_metrics(self) -> list[dict[str, Any]]:
        """The whole lines of ``metrics.jsonl``; one cut short by a kill is left out."""
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def keep_metrics(self, step: int) -> None:
        """Drop the lines after this step, which a resumed run writes again."""
        lines = (json.dumps(m) + "\n" for m in self.read_metrics() if m["step"] <= step)
        write_text(self.metrics, "".join(lines))

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Add one line, a JSON object with its ``step``."""
        with self.metrics.open("a") as file:
            file.write(json.dumps(line) + "\n")


def check_writable(path: Path) -> None:
    """Refuse a folder that cannot be made or written, before any work is done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UserError(f"the output folder {path} cannot be written: {error.strerror or error}") from None


def write_atomically(path: Path, write: Callable[[Any], None]) -> None:
    """Call ``write`` with a binary file that takes its place whole, or not at all.

    Written beside the target, flushed to the disk, then renamed: a kill at any moment leaves
    either the old file or the new one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Replace a text file, atomically."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file, atomically; NaN is an error, not a token that others cannot read."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """A JSON file's value, or None if there is none."""
    return json.loads(path.read_text()) if path.exists() else None


def timestamp() -> str:
    """Now, for names of folders."""
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")


def runs_below(path: Path) -> Iterable[Path]:
    """The job folders of a sweep, in order of their numbers."""
    jobs = [p for p in path.iterdir() if p.is_dir() and p.name.isdigit()]
    return sorted(jobs, key=lambda p: int(p.name))
