"""A job: a run or an evaluation with its log, its records, and a ``result.json`` whatever
happens.
"""

import logging
import re
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from tqdm.contrib.logging import logging_redirect_tqdm

from mmml import run as runs
from mmml.config import check_run
from mmml.config.compose import plain
from mmml.errors import ExpectedError, UserError, expected
from mmml.evaluation.evaluator import collect_examples, run_evaluators
from mmml.evaluation.paired import from_baselines, from_parts
from mmml.evaluation.results import ResultKey, Results
from mmml.evaluation.verdict import verdicts
from mmml.files import (
    check_writable,
    keep_aside,
    read_json,
    write_atomically,
    write_json,
    write_text,
)
from mmml.memory import keep_freed_memory
from mmml.provenance import describe
from mmml.reporting import difference_tables, result_tables, write_report
from mmml.reporting.robustness import area_table
from mmml.reporting.rows import as_csv
from mmml.reporting.verdicts import verdict_table
from mmml.run_directory import SCHEMA, RunDirectory
from mmml.terminal import plain_console
from mmml.training.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from mmml.training.loop import Trainer
from mmml.training.signals import Interrupted, Stop, handle_signals
from mmml.world import SINGLE_PROCESS, World

log = logging.getLogger("mmml")

Change = Callable[[dict[str, Any]], dict[str, Any]]
"""A finished run's config → the same with the user's overrides."""


def train_composed(
    config: DictConfig, folder: str, overrides: list[str], world: World = SINGLE_PROCESS
) -> tuple[int, float | None]:
    """Train with a config that Hydra composed; returns the exit code and the best monitored
    value.
    """
    job = Job("mmml-train", RunDirectory(folder, world).create(), overrides)
    values = plain(config)
    with job.run.locked():
        if world.is_main:
            job.run.check_empty()  # if two runs start at once, one is refused
        code = job.execute(
            lambda stop: job.train(*runs.prepare(check_run(values), values, job.run), stop)
        )
    return code, (job.fields["best"] or {}).get("value")


def resume(path: str, overrides: list[str], change: Change, world: World = SINGLE_PROCESS) -> int:
    """Continue a run in its own directory; nothing there is changed until all checks have
    passed.
    """
    file = find_checkpoint(path, "resume", prefer="last")
    run = RunDirectory(file.parent.parent, world)
    if not run.is_run:
        raise UserError(f"resume={path}: {run} is no run directory (it has no run.json)")
    with run.locked():
        checkpoint = load_checkpoint(file, "resume")
        changed = change(checkpoint.config)
        experiment, trainer = runs.prepare(check_run(changed), changed, run, checkpoint)
        job = Job("mmml-train", run, [f"resume={path}", *overrides])
        return job.execute(lambda stop: job.train(experiment, trainer, stop, checkpoint))


def evaluate(path: str, name: str, overrides: list[str], change: Change) -> int:
    """Test a checkpoint and write ``eval/<name>/`` in its run directory, or in ``outputs/`` if it
    has none.
    """
    file = find_checkpoint(path, "checkpoint", prefer="best")
    checkpoint = load_checkpoint(file, "checkpoint")
    changed = change(checkpoint.config)
    config = check_run(changed)
    run = RunDirectory(file.parent.parent)
    folder = new_evaluation(run if run.is_run else RunDirectory("outputs"), name)
    experiment = runs.restore(config, checkpoint)
    check_writable(folder)
    if (status := (read_json(run.result) or {}).get("status", "completed")) != "completed":
        log.warning(
            "checkpoint=%s: its run is not completed (%s), at step %d",
            path,
            status,
            checkpoint.step,
        )
    job = Job("mmml-eval", RunDirectory(folder), [f"checkpoint={path}", *overrides])
    job.fields |= {"steps": checkpoint.step, "best": checkpoint.best}
    return job.execute(lambda stop: job.evaluate(experiment, changed))


def new_evaluation(run: RunDirectory, name: str) -> Path:
    """Return the path of a new evaluation's folder."""
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise UserError(
            f"name={name} must be a plain folder name: letters, digits, '.', '_' and '-'"
        )
    folder = run.evaluation(name)
    if folder.exists():
        raise UserError(f"name={name}: {folder} exists already; choose another name")
    return folder


class Job:
    """A training run or an evaluation, whose outcome is written to ``result.json`` in all cases.

    Args:
        program: the name of the console script.
        run: the run directory.
        overrides: as typed.
    """

    def __init__(self, program: str, run: RunDirectory, overrides: list[str]):
        self.program, self.run, self.overrides = program, run, overrides
        self.fields: dict[str, Any] = {"status": "failed", "steps": 0, "best": None}
        self.fields |= {"results": [], "differences": [], "verdicts": [], "notes": []}

    def execute(self, body: Callable[[Stop], None]) -> int:
        """Run ``body``; returns the exit code. Only an interruption is raised, as ``SystemExit``,
        so that it also ends a sweep.
        """
        started = time.perf_counter()
        keep_freed_memory()
        try:
            with (
                handle_signals() as stop,
                logging_to(self.run.log) if self.run.world.is_main else nullcontext(),
            ):
                body(stop)
        except Interrupted as interruption:
            self.fields["status"] = "interrupted"
            print(f"{self.program}: interrupted", file=sys.stderr)
            raise SystemExit(interruption.exit_code) from None
        except Exception as error:
            return self._failed(error)
        finally:
            self._conclude(started)
        if self.run.world.is_main:
            show(self.run, self.fields)
        return 0

    def _conclude(self, started: float) -> None:
        """Write ``result.json``; if that fails after another error, only the first error is
        reported.
        """
        if not self.run.world.is_main:
            return
        keep_aside(self.run.result)
        try:
            write_json(self.run.result, result(self.fields, self.overrides, started))
        except OSError:
            if self.fields["status"] != "failed":
                raise

    def train(
        self,
        experiment: runs.Experiment,
        trainer: Trainer,
        stop: Stop,
        resumed: Checkpoint | None = None,
    ) -> None:
        """Train, then test the best checkpoint on the test split."""
        if resumed is None:
            trainer.save_last()  # so that a recorded run can be resumed from its first step
        self._record(experiment, trainer.parts.config, resumed)
        try:
            trainer.fit(stop)
        finally:
            self.fields |= {"steps": trainer.step, "best": trainer.best}
        runs.finish(experiment, self.run)
        self._test(experiment, self.run.evaluation("test"))

    def evaluate(self, experiment: runs.Experiment, config: dict[str, Any]) -> None:
        """Test a finished learner on the test split."""
        self._record(experiment, config, None)
        self._test(experiment, self.run.path)

    def _test(self, experiment: runs.Experiment, folder: Path) -> None:
        evaluators, context = experiment.evaluators, experiment.context
        results, players = run_evaluators(
            experiment.learner, experiment.calibration, evaluators, context
        )
        self.fields |= {
            "results": results.plain(),
            "differences": [*from_baselines(results).plain(), *from_parts(results).plain()],
            "verdicts": [v.plain() for v in verdicts(results)],
            "notes": runs.notes(experiment),
        }
        if self.run.world.is_main:
            write_scores(folder / "episodes.parquet", results)
            write_text(folder / "results.csv", as_csv(self.fields["results"]))
            write_json(folder / "examples.json", collect_examples(players, evaluators, context))
        self.fields["status"] = "completed"

    def _record(
        self, experiment: runs.Experiment, config: dict[str, Any], checkpoint: Checkpoint | None
    ) -> None:
        """Write ``config.yaml`` and ``run.json``; a resumed run adds an entry to the latter."""
        if not self.run.world.is_main:
            return
        self.run.remove_unfinished()
        now = describe(experiment, [self.program, *self.overrides])
        info = now | {"resumes": []}
        if checkpoint is not None:
            info = read_json(self.run.info) or info
            info["resumes"].append(now | {"from_step": checkpoint.step})
            keep_aside(self.run.result)  # no longer valid
            self.run.keep_metrics(checkpoint.step)
            # Also if it is an earlier checkpoint: later steps are discarded.
            checkpoint.save(self.run.last)
            tell_places(self.run.best, config)
        write_json(self.run.info, info)
        self.run.write_config(config)
        if experiment.dataset is not None:
            self.run.write_skipped(experiment.dataset.skipped)
            for note in experiment.dataset.notes:
                log.info(note)

    def _failed(self, error: Exception) -> int:
        """Record and print an error: one sentence for an expected error, a traceback for a bug."""
        trace = "".join(traceback.format_exception(error))
        self.fields["status"] = "failed"
        self.fields["error"] = {
            "type": type(error).__name__,
            "message": str(error),
            "traceback": trace,
        }
        if isinstance(known := expected(error), ExpectedError):
            # If the disk caused the error, the run can be resumed.
            resumable = known is not error and self.run.last.exists()
            hint = f"; then: mmml-train resume={shlex.quote(str(self.run))}" if resumable else ""
            print(f"{self.program}: {known}{hint}", file=sys.stderr)
            return known.exit_code
        print(trace, file=sys.stderr)
        return 1


def tell_places(path: Path, config: dict[str, Any]) -> None:
    """Update the paths of data and models in a checkpoint, since a resumed run may change them."""
    stored = {section: config[section] for section in ("dataset", "encoder") if section in config}
    if (
        path.is_file()
        and (checkpoint := load_checkpoint(path, "resume")).config | stored != checkpoint.config
    ):
        replace(checkpoint, config=checkpoint.config | stored).save(path)


def result(fields: dict[str, Any], overrides: list[str], started: float) -> dict[str, Any]:
    """Return the content of a ``result.json``."""
    seconds = round(time.perf_counter() - started, 2)
    return {"schema": SCHEMA, "seconds": seconds, "overrides": overrides, "error": None} | fields


def show(run: RunDirectory, fields: dict[str, Any]) -> None:
    """Write the report and print the tables."""
    write_report(run.path)
    results, differences = fields["results"], fields["differences"]
    besides = (*verdict_table(fields["verdicts"]), *area_table(results))
    console = plain_console()
    # A pipe has no width.
    console.width = max(console.width, 80) if console.is_terminal else 200
    for table in (*result_tables(results), *difference_tables(differences, results), *besides):
        console.print(table)
    for note in fields["notes"]:
        console.print(note)
    print(f"report: {run.report}")


def write_scores(path: Path, results: Results) -> None:
    """Write the score of every episode (or video, …) behind the results as a table, with the key of
    its row.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {f.name: pa.float64() if f.name == "amount" else pa.string() for f in fields(ResultKey)}
    types |= dict.fromkeys(("ways", "shots", "candidates", "step", "episode"), pa.int64())
    types["score"] = pa.float64()
    parts = [pa.schema(types).empty_table()]  # there may be no results
    for row in results:
        about = asdict(row.key) | {
            "support": "+".join(row.key.support),
            "query": "+".join(row.key.query),
        }
        same = {k: pa.repeat(pa.scalar(v, types[k]), len(row.scores)) for k, v in about.items()}
        numbers = {
            "episode": pa.array(range(len(row.scores)), "int64"),
            "score": row.scores.astype("float64"),
        }
        parts.append(pa.table(same | numbers))
    write_atomically(path, lambda file: pq.write_table(pa.concat_tables(parts), file))


class LogFile(logging.FileHandler):
    """A log file whose errors do not stop a run, since results are written elsewhere."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Ignore errors of the log file, without a traceback."""

    def close(self) -> None:
        """Close the file, also if the last lines cannot be written."""
        with suppress(OSError):
            super().close()


@contextmanager
def logging_to(path: Path) -> Iterator[None]:
    """Log to a file and, without breaking a progress bar, to stderr."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file, terminal = LogFile(path, encoding="utf-8"), logging.StreamHandler()
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
