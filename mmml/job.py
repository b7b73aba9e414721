"""A job around a run: its log, what it records of itself, and a ``result.json`` whatever happens."""

import logging
import platform
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from tqdm.contrib.logging import logging_redirect_tqdm

import mmml
from mmml import run as runs
from mmml.config import check_config
from mmml.errors import TrainingError, UserError
from mmml.evaluation.guards import GuardError
from mmml.evaluation.panel import Panel
from mmml.report import panel_tables, write_report
from mmml.run_directory import RunDirectory, check_writable, read_json, write_json
from mmml.trainer.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from mmml.trainer.signals import Interrupted, Stop, handle_signals

log = logging.getLogger("mmml")

SCHEMA = 1

Change = Callable[[dict[str, Any]], dict[str, Any]]
"""A finished run's config → the same with the user's overrides."""


def train_composed(config: DictConfig, folder: str, overrides: list[str]) -> tuple[int, float | None]:
    """Train by a config that Hydra composed; returns the exit code and the best monitored value."""
    job = Job(RunDirectory(folder).create(), overrides)
    code = job.execute(lambda stop: job.train(plain_config(config), stop))
    return code, (job.fields["best"] or {}).get("value")


def resume(path: str, overrides: list[str], change: Change) -> int:
    """Go on with a run in its own directory; nothing there is touched before all is found well."""
    file = find_checkpoint(path, "resume", prefer="last")
    run = RunDirectory(file.parent.parent)
    if not run.is_run:
        raise UserError(f"resume={path}: {run} is no run directory (it has no run.json)")
    checkpoint = load_checkpoint(file, "resume")
    plain = change(checkpoint.config)
    check_config(plain)
    check_writable(run.path)
    job = Job(run, overrides)
    return job.execute(lambda stop: job.train(plain, stop, checkpoint))


def evaluate(path: str, name: str, overrides: list[str], change: Change) -> int:
    """Judge a checkpoint and write ``eval/<name>/`` beside it."""
    file = find_checkpoint(path, "checkpoint", prefer="best")
    checkpoint = load_checkpoint(file, "checkpoint")
    plain = change(checkpoint.config)
    run = RunDirectory(file.parent.parent)
    folder = (run if run.is_run else RunDirectory("outputs")).evaluation(name)
    if (folder / "result.json").exists():
        raise UserError(f"name={name}: {folder} holds an evaluation already; choose another name")
    check_writable(folder)
    started = time.perf_counter()
    experiment = runs.restore(check_config(plain), checkpoint)
    panel, exhibits = runs.evaluate(experiment)
    write_evaluation(folder, panel, exhibits)
    info = describe(experiment, ["mmml-eval", f"checkpoint={path}", *overrides]) | {
        "checkpoint": str(file),
        "step": checkpoint.step,
    }
    write_json(folder / "run.json", info)
    RunDirectory(folder).write_config(plain)
    fields = {"status": "completed", "steps": checkpoint.step, "best": checkpoint.best, "panel": panel.plain()}
    write_json(folder / "result.json", result(fields, overrides, started))
    show(RunDirectory(folder), panel.plain())
    return 0


class Job:
    """A training run: whatever happens to it, ``result.json`` says so.

    Args:
        run: where it writes.
        overrides: as typed.
    """

    def __init__(self, run: RunDirectory, overrides: list[str]):
        self.run, self.overrides = run, overrides
        self.fields: dict[str, Any] = {"status": "failed", "steps": 0, "best": None, "panel": []}

    def execute(self, body: Callable[[Stop], None]) -> int:
        """Run ``body``; returns the exit code. Only an interruption is raised, as ``SystemExit``: it ends a sweep."""
        started = time.perf_counter()
        try:
            with handle_signals() as stop, logging_to(self.run.log):
                body(stop)
        except Interrupted as interruption:
            self.fields["status"] = "interrupted"
            raise SystemExit(interruption.exit_code) from None
        except Exception as error:
            return self._failed(error)
        finally:
            keep_aside(self.run.result)
            write_json(self.run.result, result(self.fields, self.overrides, started))
        show(self.run, self.fields["panel"])
        return 0

    def train(self, plain: dict[str, Any], stop: Stop, checkpoint: Checkpoint | None = None) -> None:
        """Train, then judge the best checkpoint on the test split."""
        experiment, trainer = runs.prepare(check_config(plain), plain, self.run, stop, checkpoint)
        self._record(experiment, plain, checkpoint)
        try:
            trainer.fit()
        finally:
            self.fields |= {"steps": trainer.step, "best": trainer.best}
        runs.load_best(experiment, self.run)
        panel, exhibits = runs.evaluate(experiment)
        write_evaluation(self.run.evaluation("test"), panel, exhibits)
        self.fields |= {"status": "completed", "panel": panel.plain()}

    def _record(self, experiment: runs.Experiment, plain: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        """``config.yaml`` and ``run.json``; a resumed run adds to what is there."""
        now = describe(experiment, ["mmml-train", *self.overrides])
        info = now | {"resumes": []}
        if checkpoint is not None:
            info = read_json(self.run.info) or info
            info["resumes"].append(now | {"from_step": checkpoint.step})
            self.run.keep_metrics(checkpoint.step)
        write_json(self.run.info, info)
        self.run.write_config(plain)

    def _failed(self, error: Exception) -> int:
        """Say what went wrong: one sentence for an expected error, a traceback for a bug."""
        trace = "".join(traceback.format_exception(error))
        self.fields["error"] = {"type": type(error).__name__, "message": str(error), "traceback": trace}
        expected = isinstance(error, (UserError, TrainingError, GuardError))
        print(f"mmml-train: {error}" if expected else trace, file=sys.stderr)
        return 2 if isinstance(error, UserError) else 1


def result(fields: dict[str, Any], overrides: list[str], started: float) -> dict[str, Any]:
    """The content of a ``result.json``."""
    seconds = round(time.perf_counter() - started, 2)
    return {"schema": SCHEMA, "seconds": seconds, "overrides": overrides, "error": None} | fields


def show(run: RunDirectory, panel: list[dict[str, Any]]) -> None:
    """Write the report, print the tables."""
    write_report(run.path)
    console = Console()
    console.width = max(console.width, 80)
    for table in panel_tables(panel):
        console.print(table)
    console.print(f"report: {run.report}", soft_wrap=True, highlight=False)


def plain_config(config: DictConfig) -> dict[str, Any]:
    """A composed config with everything resolved, as plain values."""
    plain = OmegaConf.to_container(config, resolve=True)
    assert isinstance(plain, dict)
    return {str(k): v for k, v in plain.items()}


def keep_aside(path: Path) -> None:
    """Rename an earlier file to ``<name>.<number><suffix>``, so that a resumed run loses nothing."""
    if path.exists():
        number = len(list(path.parent.glob(f"{path.stem}.*{path.suffix}"))) + 1
        path.rename(path.with_name(f"{path.stem}.{number}{path.suffix}"))


def write_evaluation(folder: Path, panel: Panel, exhibits: dict[str, Any]) -> None:
    """``episodes.parquet`` (the score of every episode) and ``exhibits.json``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: dict[str, list[Any]] = {
        k: [] for k in ("predictor", "task", "mapping", "ways", "shots", "metric", "episode", "score")
    }
    for cell, scores in zip(panel.cells, panel.scores, strict=True):
        for i, score in enumerate(scores.tolist()):
            values = (cell.predictor, cell.task, cell.mapping, cell.ways, cell.shots, cell.metric, i, score)
            for column, value in zip(rows.values(), values, strict=True):
                column.append(value)
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(rows), folder / "episodes.parquet")
    write_json(folder / "exhibits.json", exhibits)


def describe(experiment: runs.Experiment, command: Sequence[str]) -> dict[str, Any]:
    """What it takes to understand and repeat a run."""
    config = experiment.config
    return {
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": list(command),
        "mmml": mmml.__version__,
        "git": git_commit(),
        "versions": {
            "python": platform.python_version(),
            **{p: installed(p) for p in ("torch", "numpy", "hydra-core", "pillow")},
        },
        "machine": {
            "system": platform.platform(),
            "processor": platform.processor(),
            "threads": torch.get_num_threads(),
        },
        "numerics": experiment.numerics.record(),
        "seeds": {
            "seed": config.seed,
            "dataset.split_seed": config.dataset.get("split_seed"),
            "evaluation.seed": config.evaluation.seed,
        },
        "classes": {split: len(s.classes) for split, s in experiment.samples.items()},
        "parameters": sum(p.numel() for p in experiment.learner.parameters()),
        "predictor": experiment.learner.predictor_name,
        "transductive": experiment.learner.transductive,
    }


def git_commit() -> str | None:
    """The commit of the code that runs, with ``+`` if files differ from it; None outside a clone."""
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def installed(package: str) -> str | None:
    """The version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Log to a file and, without breaking a progress bar, to stderr."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file, terminal = logging.FileHandler(path, encoding="utf-8"), logging.StreamHandler()
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    level = log.level
    log.setLevel(logging.INFO)
    for handler in (file, terminal):
        log.addHandler(handler)
    try:
        with logging_redirect_tqdm([log]):
            yield
    finally:
        log.setLevel(level)
        for handler in (file, terminal):
            log.removeHandler(handler)
            handler.close()
