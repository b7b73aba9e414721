"""The content of ``run.json``: everything that is needed to understand and repeat a run."""

import platform
import subprocess
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import mmml
from mmml.run import Experiment


def describe(experiment: Experiment, command: Sequence[str]) -> dict[str, Any]:
    """Return the content of ``run.json``."""
    config, metric = experiment.config, experiment.context.metric
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
            "dataset.split_seed": (config.dataset or {}).get("split_seed"),
            "evaluation.seed": config.evaluation.seed,
        },
        "classes": {split: len(s.classes) for split, s in experiment.samples.items()},
        "parameters": sum(p.numel() for p in experiment.learner.parameters()),
        "validation": {"metric": metric.name, "percent": metric.percent},
        "predictor": experiment.learner.predictor_name,
        "transductive": experiment.learner.transductive,
        "method": experiment.learner.describe(),
    }


def git_commit() -> str | None:
    """Return the commit of the running code, with ``+`` if files differ from it; None outside a
    clone.
    """
    folder = Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return None

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (
            "+" if git("status", "--porcelain", "--untracked-files=no") else ""
        )
    except (OSError, subprocess.CalledProcessError):
        return None


def installed(package: str) -> str | None:
    """Return the version of an installed package."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None
