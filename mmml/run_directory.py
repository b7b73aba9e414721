"""The run directory: all files that one run writes; only this module defines their names."""

import fcntl
import json
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from mmml.errors import UserError
from mmml.files import append, as_json, check_writable, read_json, remove_unfinished, write_text
from mmml.world import SINGLE_PROCESS, World

SCHEMA = 2  # version of result.json

log = logging.getLogger(__name__)


class RunDirectory:
    """The files of a run.

    Args:
        path: an existing folder, or one that :meth:`create` will make.
        world: the processes of the run; only rank 0 makes, locks and writes the folder.
    """

    def __init__(self, path: str | os.PathLike[str], world: World = SINGLE_PROCESS):
        self.path, self.world = Path(path), world

    def __str__(self) -> str:
        return str(self.path)

    config = property(lambda self: self.path / "config.yaml")
    info = property(lambda self: self.path / "run.json")
    lock = property(lambda self: self.path / ".lock")
    log = property(lambda self: self.path / "train.log")
    metrics = property(lambda self: self.path / "metrics.jsonl")
    last = property(lambda self: self.path / "checkpoints" / "last.ckpt")
    best = property(lambda self: self.path / "checkpoints" / "best.ckpt")
    skipped = property(lambda self: self.path / "skipped.txt")
    result = property(lambda self: self.path / "result.json")
    report = property(lambda self: self.path / "report.html")
    examples = property(lambda self: self.path / "eval" / "test" / "examples.json")

    def evaluation(self, name: str) -> Path:
        """Return the folder of one evaluation."""
        return self.path / "eval" / name

    @property
    def is_run(self) -> bool:
        """Whether a run has written here, finished or not."""
        return self.info.exists() or self.result.exists()

    def check_new(self) -> None:
        """Raise ``UserError`` for a folder that cannot be written, that another process has locked,
        or that contains a run.
        """
        self.check_empty()
        check_writable(self.path)
        if self.lock.exists():
            with self.locked():
                pass

    def check_empty(self) -> None:
        """Raise ``UserError`` for a folder that contains a run; a start that failed before it was
        recorded does not count.
        """
        if self.info.exists():
            hint = f", or resume={self}" if self.last.exists() else ""
            raise UserError(
                f"hydra.run.dir={self} holds a run already: choose another folder{hint}"
            )

    def create(self) -> "RunDirectory":
        """Make the folders of a new run, on rank 0."""
        if self.world.is_main:
            self.check_new()
            self.last.parent.mkdir(parents=True, exist_ok=True)
        return self

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the run for this process; the system releases the lock when the process ends in any
        way.

        Rank 0 holds the lock for all processes of its world.

        Raises:
            UserError: another process has locked it, or the folder cannot be written.
        """
        if not self.world.is_main:
            yield
            return
        check_writable(self.path)
        with self.lock.open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"{self} is in use: another process trains there now; wait for it, or stop it"
                ) from None
            except OSError as error:  # a file system without locks
                log.warning(
                    "%s cannot be locked (%s): let no other process train there",
                    self,
                    error.strerror,
                )
            yield

    def remove_unfinished(self) -> None:
        """Remove temporary files of killed processes; only a process that has locked or made the
        run may do this.
        """
        files = [self.config, self.info, self.metrics, self.skipped, self.result]
        folders = [self.last.parent, self.evaluation("test")]
        remove_unfinished([*files, *(folder / "*" for folder in folders)])

    def write_config(self, config: dict[str, Any]) -> None:
        """Write the resolved config as YAML."""
        write_text(self.config, yaml.safe_dump(config, sort_keys=False, allow_unicode=True))

    def write_skipped(self, reasons: Sequence[str]) -> None:
        """Write a line for each unusable sample that was left out; no file if there is none."""
        if reasons:
            write_text(self.skipped, "".join(f"{reason}\n" for reason in reasons))

    def read_result(self) -> dict[str, Any] | None:
        """Return the content of ``result.json``; None if there is none.

        Raises:
            UserError: another version of mmml wrote it.
        """
        result = read_json(self.result)
        if result is not None and result.get("schema") != SCHEMA:
            raise UserError(
                f"{self.result} has schema {result.get('schema')}, and this version of mmml reads "
                f"{SCHEMA}: train anew, or evaluate its checkpoint anew"
            )
        return result

    def read_metrics(self) -> list[dict[str, Any]]:
        """Return the complete lines of ``metrics.jsonl``; a line truncated by a kill is left
        out.
        """
        if not self.metrics.exists():
            return []
        lines = self.metrics.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def keep_metrics(self, step: int) -> None:
        """Remove the lines after this step, which a resumed run writes again."""
        lines = (as_json(m) + "\n" for m in self.read_metrics() if m["step"] <= step)
        write_text(self.metrics, "".join(lines))

    def append_metrics(self, line: dict[str, Any]) -> None:
        """Add one line, a JSON object with its ``step``."""
        append(self.metrics, f"{as_json(line)}\n".encode())


def timestamp() -> str:
    """Return the current time, for names of folders."""
    return datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")


def runs_below(path: Path) -> Iterable[Path]:
    """Return the job folders of a sweep, in the order of their numbers."""
    jobs = [p for p in path.iterdir() if p.is_dir() and p.name.isdigit()]
    return sorted(jobs, key=lambda p: int(p.name))
