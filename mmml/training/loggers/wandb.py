"""``trainer.loggers=[wandb]``: Weights & Biases."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmml.errors import UserError
from mmml.files import write_text
from mmml.training.loggers.base import Logger, loggers


@loggers.register("wandb")
class WandB(Logger):
    """Sends metrics to the project ``mmml``; with ``WANDB_MODE=offline``, keeps them in the run
    directory.

    A resumed run continues its page, whose id is stored in the run directory. Curves are plotted
    over ``step``, so that the repeated steps of a resumed run lie on the earlier ones.
    """

    package = "wandb"

    def __init__(self, folder: Path, config: Mapping[str, Any], step: int):
        import wandb

        known = folder / "wandb-id.txt"
        if not known.exists():
            write_text(known, uuid.uuid4().hex[:16])
        try:
            self.page = wandb.init(
                project="mmml",
                name=folder.name,
                dir=str(folder),
                id=known.read_text().strip(),
                resume="allow",
                config=dict(config),
                settings=wandb.Settings(silent=True),
            )
        except (wandb.errors.Error, ValueError) as error:
            # No login, no network, or unknown settings.
            message = " ".join(str(error).split())[:200]
            raise UserError(
                f"trainer.loggers=[wandb]: {message}; log in by wandb login, or set "
                "WANDB_MODE=offline"
            ) from None
        self.page.define_metric("*", step_metric="step")

    def log(self, step: int, scores: Mapping[str, float]) -> None:
        self.page.log({**scores, "step": step})

    def close(self) -> None:
        self.page.finish()
