"""``trainer.loggers=[tensorboard]``: curves for ``tensorboard --logdir outputs``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmml.training.loggers.base import Logger, loggers


@loggers.register("tensorboard")
class TensorBoard(Logger):
    """Writes event files to ``tensorboard/`` in the run directory; steps that a resumed run repeats
    replace the earlier ones.
    """

    package = "tensorboard"

    def __init__(self, folder: Path, config: Mapping[str, Any], step: int):
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def log(self, step: int, scores: Mapping[str, float]) -> None:
        for name, value in scores.items():
            self.writer.add_scalar(name, value, step)

    def close(self) -> None:
        self.writer.close()
