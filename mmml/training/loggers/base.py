"""The interface of loggers."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from mmml.errors import UserError
from mmml.files import writing
from mmml.registry import Registry

log = logging.getLogger(__name__)

loggers = Registry("logger", "mmml.training.loggers")

Line = Mapping[str, Any]
"""A line of ``metrics.jsonl``: ``step``, ``split`` and scores by name."""


class Logger(ABC):
    """Sends metrics to another program.

    Args:
        folder: the run directory.
        config: of the run, resolved.
        step: the step that a resumed run continues from; 0 for a new run.

    Class attributes:
        package: the package that it needs; also the name of the extra that installs it.
    """

    package: ClassVar[str]

    @abstractmethod
    def __init__(self, folder: Path, config: Mapping[str, Any], step: int): ...

    @abstractmethod
    def log(self, step: int, scores: Mapping[str, float]) -> None:
        """Send scores with names such as ``train/loss``."""

    @abstractmethod
    def close(self) -> None:
        """End logging; ``log`` is not called after it."""


def check_loggers(names: Sequence[str]) -> None:
    """Raise ``UserError`` for a logger that does not exist or whose package is not installed."""
    for name in names:
        logger = loggers.get(name, "trainer.loggers")
        package: str = logger.package  # type: ignore[attr-defined]
        if find_spec(package) is None:
            raise UserError(
                f"trainer.loggers: {name} needs the package {package}: pip install "
                f"'mmml[{package}]'"
            )


@contextmanager
def open_loggers(
    names: Sequence[str], folder: Path, config: Mapping[str, Any], step: int
) -> Iterator[Callable[[Line], None]]:
    """Open loggers, and yield a function that sends a line of metrics to all of them.

    Args:
        names: of the loggers.
        folder: the run directory.
        config: of the run, resolved.
        step: the step that a resumed run continues from; 0 for a new run.
    """
    with ExitStack() as stack:
        opened: list[Logger] = []
        for name in names:
            with writing(folder):
                logger: Logger = loggers.get(name, "trainer.loggers")(folder, config, step)
            stack.callback(_tell, logger, logger.close)
            opened.append(logger)

        def tell(line: Line) -> None:
            scores = {
                full_name(k, line["split"]): v
                for k, v in line.items()
                if k not in ("step", "split")
            }
            opened[:] = [t for t in opened if _tell(t, partial(t.log, line["step"], scores))]

        yield tell


def _tell(logger: Logger, write: Callable[[], None]) -> bool:
    """Let a logger write; returns whether that succeeded. The run continues without a logger that
    fails.
    """
    try:
        write()
    except OSError as error:
        name = type(logger).__name__
        log.warning(
            "%s cannot write (%s): the run goes on without it, and metrics.jsonl has all scores",
            name,
            error,
        )
        return False
    return True


def full_name(name: str, split: str) -> str:
    """Return ``train/loss``; a name that starts with its split stays unchanged."""
    return name if name.startswith(f"{split}/") else f"{split}/{name}"
