"""Estimate the training time of shipped experiments on this machine:
``python scripts/bench_training.py [EXPERIMENT[,OPTION] …]``.

The time is extrapolated from some steps, spread over the whole training (unrolls may grow), and one
validation. Loading of data and the final evaluation are not included. If there are several
experiments, each is measured in a new process.
"""

import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from mmml import run as runs
from mmml.config import check_run
from mmml.config.compose import compose_plain
from mmml.config.folders import conf_dir
from mmml.errors import ExpectedError
from mmml.memory import keep_freed_memory
from mmml.run_directory import RunDirectory
from mmml.threads import one_thread
from mmml.training.loop import Trainer

HEADER = (
    "| experiment | a step, s | steps | a validation, s | training, min |\n| --- | --- "
    "| --- | --- | --- |"
)
STEPS, SECONDS = 12, 60.0  # limits of what is timed for an experiment


def main(names: list[str]) -> None:
    """Print one line for one experiment, or a table for several."""
    if len(names) == 1:
        print(f"| `{names[0]}` | {predicted(names[0])} |")
        return
    print(HEADER, flush=True)
    for name in names or sorted(path.stem for path in (conf_dir() / "experiment").glob("*.yaml")):
        subprocess.run([sys.executable, __file__, name], check=True)


def predicted(name: str) -> str:
    """Return the other columns of the table."""
    keep_freed_memory()  # as mmml's programs do
    try:
        # For example captioning,method=learned_optimizer.
        values = compose_plain(f"experiment={name}".split(","))
        with tempfile.TemporaryDirectory() as folder:
            _, trainer = runs.prepare(check_run(values), values, RunDirectory(Path(folder)))
            trainer._train_step()  # the first step allocates memory and fills caches
            trainer.parts.validate()  # and so does the first validation
            taken = timed_steps(trainer)
            started = time.perf_counter()
            trainer.parts.validate()
            validation = time.perf_counter() - started
    except ExpectedError as error:
        return f"{error} | | |"
    steps = trainer.options.steps
    seconds = steps * taken + -(-steps // trainer.options.validate_every) * validation
    return f"{taken:.3g} | {steps} | {validation:.3g} | **{seconds / 60:.1f}**"


def timed_steps(trainer: Trainer) -> float:
    """Return the mean seconds of a step."""
    done, started = 0, time.perf_counter()
    with one_thread() if trainer.learner.is_small else nullcontext():
        for step in np.linspace(0, trainer.options.steps - 1, STEPS, dtype=int).tolist():
            trainer.step = step
            trainer._train_step()
            done += 1
            if time.perf_counter() - started > SECONDS:
                break
    return (time.perf_counter() - started) / done


if __name__ == "__main__":
    main(sys.argv[1:])
