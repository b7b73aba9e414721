"""A callback that Hydra calls before it makes any folder, so that an error in a core option leaves
no files behind.
"""

import copy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict

from mmml.config.schema import check_run
from mmml.errors import UserError
from mmml.files import check_writable, claim
from mmml.run_directory import RunDirectory


class CheckFirst(Callback):
    """Check the config and the output folder. If both are valid, ``HydraConfig`` describes the run
    or the sweep.
    """

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the config and the run directory."""
        values = OmegaConf.to_container(config)
        assert isinstance(values, dict)
        values.pop("hydra")
        with refusing():
            if not config.hydra.run.dir:
                raise UserError("hydra.run.dir= is empty: name a folder")
            check_run(OmegaConf.create(values))
            if not is_named(config, "hydra.run.dir"):
                with open_dict(config):
                    config.hydra.run.dir = str(claim(Path(config.hydra.run.dir)))
            RunDirectory(config.hydra.run.dir).check_new()
        # Hydra makes the config read-only.
        HydraConfig.instance().set_config(copy.deepcopy(config))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Raise ``UserError`` for a folder that cannot be written, or that already contains a
        sweep.
        """
        folder = Path(config.hydra.sweep.dir)
        with refusing():
            if not is_named(config, "hydra.sweep.dir"):
                folder = claim(folder)
                with open_dict(config):  # the config of each job is composed again later
                    config.hydra.sweep.dir = str(folder)
                    config.hydra.overrides.hydra.append(f"hydra.sweep.dir={folder}")
            check_writable(folder)
            if any(folder.glob("*/run.json")) or (folder / "summary.csv").exists():
                raise UserError(
                    f"hydra.sweep.dir={folder} holds a sweep already: choose another folder"
                )
        HydraConfig.instance().set_config(copy.deepcopy(config))


def is_named(config: DictConfig, option: str) -> bool:
    """Whether the command line sets this folder; otherwise its name is the date and time."""
    return any(o.lstrip("+").startswith(f"{option}=") for o in config.hydra.overrides.hydra)


@contextmanager
def refusing() -> Iterator[None]:
    """Exit on a ``UserError``, since Hydra ignores ordinary exceptions of callbacks."""
    try:
        yield
    except UserError as error:
        print(f"mmml-train: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
