"""What a logger is."""

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
"""Of ``metrics.jsonl``: ``step``, ``split`` and scores by name."""


class Logger(ABC):
    """Tells another program what is measured.

    Args:
        folder: the run directory.
        config: of the run, resolved.
        step: that a resumed run goes on from; 0 for a new one.

    Class attributes:
        package: that it needs, which is also the name of the extra that installs it.
    """

    package: ClassVar[str]

    @abstractmethod
    def __init__(self, folder: Path, config: Mapping[str, Any], step: int): ...

    @abstractmethod
    def log(self, step: int, scores: Mapping[str, float]) -> None:
        """Tell scores, named such as ``train/loss``."""

    @abstractmethod
    def close(self) -> None:
        """Nothing follows."""


def check_loggers(names: Sequence[str]) -> None:
    """Refuse a logger that does not exist or whose package is not installed."""
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
    """Open loggers, and give what tells all of them a line of metrics.

    Args:
        names: of the loggers.
        folder: the run directory.
        config: of the run, resolved.
        step: that a resumed run goes on from; 0 for a new one.
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
    """Let a logger write; returns whether it could. The run goes on without one that could not."""
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
    """``train/loss``; what begins with its split has its name already."""
    return name if name.startswith(f"{split}/") else f"{split}/{name}"
