"""Checkpoints: one file each, plain data, replaced atomically."""

import pickle
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from mmml.errors import UserError
from mmml.files import expanded, without_links, write_atomically
from mmml.run_directory import RunDirectory

FORMAT = 2


@dataclass
class Checkpoint:
    """Everything that is needed to resume a run, or to evaluate it elsewhere.

    Attributes:
        config: the resolved config, plain values only.
        known_classes: identifiers of the classes of training and validation.
        learner: state of the learner.
        optimizer: state of the optimizer.
        step: number of steps done. Episodes and random numbers of a step are pure functions of its
            number, so this integer is the state of both.
        best: ``{"monitor", "value", "step"}`` of the best validation so far, or None.
        seconds: spent in training.
        calibration: of the finished learner's confidence, see ``mmml.evaluation.calibration``; None
            before training has finished.
    """

    config: dict[str, Any]
    known_classes: list[str]
    learner: dict[str, Any]
    optimizer: dict[str, Any]
    step: int
    best: dict[str, Any] | None
    seconds: float
    calibration: dict[str, Any] | None = None

    def save(self, path: Path) -> None:
        """Write the file atomically: under a temporary name, flushed, then renamed."""
        content = {f: getattr(self, f) for f in FIELDS}
        write_atomically(path, lambda file: torch.save({"format": FORMAT, **content}, file))


FIELDS = tuple(f.name for f in fields(Checkpoint))


def load_checkpoint(path: Path, option: str) -> Checkpoint:
    """Read a checkpoint to the CPU; a pickle with anything but plain data raises ``UserError``.

    Args:
        path: of the file.
        option: the option that gave the path, for messages.
    """
    if not path.is_file():
        raise UserError(f"{option}={path}: there is no such file")
    if not zipfile.is_zipfile(path):  # else torch would try older formats
        raise UserError(
            f"{option}={path} is no checkpoint, or is cut short; a run keeps last.ckpt "
            "and best.ckpt"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{option}={path} is refused: it holds more than plain data, and code might run"
        ) from None
    except Exception as error:  # damaged files raise errors of many types
        raise UserError(f"{option}={path} cannot be read ({first_line(error)})") from None
    found = content.pop("format", None) if isinstance(content, dict) else None
    if found is not None and found != FORMAT:
        raise UserError(
            f"{option}={path} is of format {found}, and this mmml reads {FORMAT}: train anew"
        )
    if found is None or not _well_formed(content):
        raise UserError(f"{option}={path} is no mmml checkpoint")
    return Checkpoint(**content)


def _well_formed(content: dict[str, Any]) -> bool:
    kinds = {
        "config": dict,
        "known_classes": list,
        "learner": dict,
        "optimizer": dict,
        "step": int,
        "seconds": float,
    }
    calibration = content.setdefault("calibration", None)
    complete = set(content) == set(FIELDS) and isinstance(calibration, dict | None)
    return complete and all(isinstance(content[k], kind) for k, kind in kinds.items())


def find_checkpoint(path: str, option: str, prefer: str) -> Path:
    """Return the checkpoint file that a path means: the file itself, or one of a run directory.

    Args:
        path: of a checkpoint or of a run directory.
        option: the option that gave the path, for messages.
        prefer: ``last`` or ``best``; the other one is used if it is missing.
    """
    found = without_links(expanded(path))
    if found.is_file():
        return found
    if not found.exists():
        raise UserError(f"{option}={path}: there is no such file or folder")
    run = RunDirectory(found)
    for candidate in (run.last, run.best) if prefer == "last" else (run.best, run.last):
        if candidate.is_file():
            return candidate
    raise UserError(f"{option}={path} is no run: it has no checkpoints/last.ckpt or best.ckpt")


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, truncated."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
