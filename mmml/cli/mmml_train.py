"""``mmml-train``: train one run, run a sweep, or resume a run."""

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from mmml.cli.arguments import wants_help
from mmml.cli.help import help_text
from mmml.cli.mmml_report import summarise
from mmml.config.compose import explain, quote_paths, take_option, with_data
from mmml.config.folders import conf_dir
from mmml.errors import UserError
from mmml.world import World

FIXED_ON_RESUME = ("seed", "dataset", "encoder", "method", "task", "problem", "init_from", "resume")


def train(arguments: list[str]) -> int:
    """Train as the arguments say; returns the exit code."""
    if wants_help(arguments):
        print(help_text(arguments), flush=True)
        return 0
    world = World.from_environment()
    if world.size > 1:
        raise UserError(
            f"WORLD_SIZE={world.size}: training on several processes is not supported yet; "
            "start one, without torchrun"
        )
    if any(a.startswith("resume=") and a != "resume=null" for a in arguments):
        return resume(arguments, world)
    return compose_and_train(arguments, world)


def resume(arguments: list[str], world: World) -> int:
    """Resume a run in its own directory with its own config."""
    if any(a.startswith("-") for a in arguments):
        raise UserError("resume= goes on with one run: it takes key=value options only")
    path, overrides = take_option(arguments, "resume")
    from mmml.job import resume

    return resume(
        path, overrides, lambda config: with_data(config, overrides, FIXED_ON_RESUME), world
    )


def compose_and_train(arguments: list[str], world: World) -> int:
    """Let Hydra compose the config and start one job, or the jobs of a sweep."""
    codes: list[int] = []

    def job(config: DictConfig) -> float | None:
        from mmml.job import train_composed  # imports torch

        launched = HydraConfig.get()
        overrides = list(launched.overrides.task)
        if launched.mode is RunMode.MULTIRUN:
            print(f"\n[{launched.job.num}] {' '.join(overrides)}", file=sys.stderr)
        try:
            code, monitored = train_composed(config, launched.runtime.output_dir, overrides, world)
        except OSError as error:
            # All other files of a job have fixed names.
            error.filename = error.filename or "standard output"
            raise
        codes.append(code)
        return monitored

    # Hydra then raises composition errors instead of printing them.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # argparse needs all options to be adjacent, so that -m must not stand between them.
    flags = [a for a in arguments if a in ("-m", "--multirun")]
    sys.argv[1:] = flags + [a for a in quote_paths(arguments) if a not in flags]
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="train")(job)()
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError, TypeError) as error:
        raise UserError(explain(error, [a for a in arguments if not a.startswith("-")])) from None
    except OSError as error:
        error.filename = error.filename or output_folder()
        raise
    finally:
        failed = summarise(Path(HydraConfig.get().sweep.dir)) if is_sweep() else 0
    return 1 if failed else max(codes, default=0)


def is_sweep() -> bool:
    """Whether Hydra has started a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode is RunMode.MULTIRUN


def output_folder() -> Path | None:
    """Return the folder that Hydra writes to: that of the run or of the sweep; None before Hydra
    has started one.
    """
    if not HydraConfig.initialized():
        return None
    return Path(HydraConfig.get().sweep.dir if is_sweep() else HydraConfig.get().run.dir)
