"""The console scripts. Nothing here imports torch before there is work for it, so ``--help`` is instant."""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

import mmml
from mmml.config.commands import DATA_HELP, EVAL_HELP, PREDICT_HELP, REPORT_HELP
from mmml.config.compose import conf_dir, explain, path_list, quote_paths, take_option, with_data
from mmml.config.schema import check_run
from mmml.errors import ExpectedError, UserError, did_you_mean, expected
from mmml.files import check_working_folder, check_writable, claim, expanded
from mmml.run_directory import RunDirectory, timestamp
from mmml.terminal import open_streams, settle_streams

FIXED_ON_RESUME = ("seed", "dataset", "encoder", "method", "task", "problem", "init_from", "resume")
FIXED_ON_EVAL = ("seed", "encoder", "method", "init_from", "resume")


class Checks(Callback):
    """Hydra calls this before it makes any folder, so that a mistake in a core option leaves nothing behind."""

    sweep: Path | None = None
    folder: Path | None = None  # where Hydra itself writes now

    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the config and the place of the run."""
        values = OmegaConf.to_container(config)
        assert isinstance(values, dict)
        values.pop("hydra")
        try:
            if not config.hydra.run.dir:
                raise UserError("hydra.run.dir= is empty: name a folder")
            check_run(OmegaConf.create(values))
            if not _is_named(config, "hydra.run.dir"):
                with open_dict(config):
                    config.hydra.run.dir = str(claim(Path(config.hydra.run.dir)))
            RunDirectory(config.hydra.run.dir).check_new()
            Checks.folder = Path(config.hydra.run.dir)
        except UserError as error:
            _refuse(str(error))

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember where the sweep goes; refuse a folder that holds one."""
        folder = Path(config.hydra.sweep.dir)
        try:
            if not _is_named(config, "hydra.sweep.dir"):
                folder = claim(folder)
                with open_dict(config):  # jobs are composed anew
                    config.hydra.sweep.dir = str(folder)
                    config.hydra.overrides.hydra.append(f"hydra.sweep.dir={folder}")
            check_writable(folder)
        except UserError as error:
            _refuse(str(error))
        if any(folder.glob("*/run.json")) or (folder / "summary.csv").exists():
            _refuse(f"hydra.sweep.dir={folder} holds a sweep already: choose another folder")
        Checks.sweep = Checks.folder = folder


def _is_named(config: DictConfig, option: str) -> bool:
    """Whether the command line sets this folder; otherwise it is named by the time."""
    return any(o.lstrip("+").startswith(f"{option}=") for o in config.hydra.overrides.hydra)


class Refused(SystemExit):
    """A user's mistake found inside of Hydra, which swallows ordinary exceptions of callbacks."""


def _refuse(message: str) -> None:
    print(f"mmml-train: {message}", file=sys.stderr)
    raise Refused(2)


def train() -> None:
    """``mmml-train``."""
    arguments = sys.argv[1:]
    if set(arguments) & {"-h", "--help"}:
        sys.exit(guarded("mmml-train", lambda: _help(arguments)))
    if any(a.startswith("resume=") and a != "resume=null" for a in arguments):
        sys.exit(guarded("mmml-train", lambda: _resume(arguments)))
    sys.exit(guarded("mmml-train", lambda: _compose_and_train(arguments)))


def _help(arguments: list[str]) -> int:
    from mmml.config.help import help_text

    print(help_text(arguments), flush=True)
    return 0


def _compose_and_train(arguments: list[str]) -> int:
    """Let Hydra compose and start one job, or the jobs of a sweep."""
    codes: list[int] = []

    def job(config: DictConfig) -> float | None:
        from mmml.job import train_composed  # imports torch

        Checks.folder, overrides = None, list(HydraConfig.get().overrides.task)
        if Checks.sweep is not None:
            print(f"\n[{HydraConfig.get().job.num}] {' '.join(overrides)}", file=sys.stderr)
        code, monitored = train_composed(config, HydraConfig.get().runtime.output_dir, overrides)
        codes.append(code)
        Checks.folder = Checks.sweep
        return monitored

    # Hydra then raises what goes wrong in a composition instead of printing it.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    # argparse takes options in one row only, so that -m must not stand between them.
    flags = [a for a in arguments if a in ("-m", "--multirun")]
    sys.argv[1:] = flags + [a for a in quote_paths(arguments) if a not in flags]
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name="train")(job)()
    except (HydraException, OmegaConfBaseException, ValueError, TypeError) as error:
        raise UserError(explain(error, [a for a in arguments if not a.startswith("-")])) from None
    except OSError as error:
        error.filename = error.filename or Checks.folder
        raise
    finally:
        failed = _summarise(Checks.sweep) if Checks.sweep is not None else 0
    return 1 if failed else max(codes, default=0)


def _summarise(sweep: Path) -> int:
    """Write the tables of a sweep; returns how many of its runs did not complete."""
    from mmml.reporting.sweep import summarise

    summary = summarise(sweep)
    if summary.runs:
        print(f"\n{summary.short}\nsummary: {sweep / 'summary.md'}")
    return summary.failed


def _resume(arguments: list[str]) -> int:
    """Go on with a run, in its own directory, by its own config."""
    if any(a.startswith("-") for a in arguments):
        raise UserError("resume= goes on with one run: it takes key=value options only")
    path, overrides = take_option(arguments, "resume")
    from mmml.job import resume

    return resume(path, overrides, lambda config: with_data(config, overrides, FIXED_ON_RESUME))


def evaluate() -> None:
    """``mmml-eval``."""
    sys.exit(guarded("mmml-eval", lambda: _evaluate(sys.argv[1:])))


def _evaluate(arguments: list[str]) -> int:
    if set(arguments) & {"-h", "--help"}:
        print(EVAL_HELP, end="")
        return 0
    refuse_stray(arguments, "checkpoint")
    path, rest = take_option(arguments, "checkpoint")
    name, overrides = take_option(rest, "name", timestamp(), wanted="a plain folder name")
    paths = path_list(path)

    def change(config: dict[str, Any]) -> dict[str, Any]:
        return with_data(config, overrides, FIXED_ON_EVAL)

    if len(paths) > 1:
        from mmml.compare import compare

        return compare(path, name, overrides, change)
    from mmml.job import evaluate

    return evaluate(paths[0], name, overrides, change)


def refuse_stray(arguments: list[str], key: str) -> None:
    """Refuse what is no ``key=value``."""
    stray = [a for a in arguments if "=" not in a]
    if stray:
        raise UserError(f"{stray[0]} cannot be read: write {key}={stray[0]}, or key=value for an option")


def predict() -> None:
    """``mmml-predict``."""
    sys.exit(guarded("mmml-predict", lambda: _predict(sys.argv[1:])))


def _predict(arguments: list[str]) -> int:
    if set(arguments) & {"-h", "--help"}:
        options = (conf_dir() / "predict.yaml").read_text().partition("\npredict:\n")[2]
        print(PREDICT_HELP + "Options (predict.key=value):\n" + options, end="")
        return 0
    refuse_stray(arguments, "support")
    support, rest = take_option(arguments, "support", wanted="a folder or manifest of labelled examples")
    query, rest = take_option(rest, "query", wanted="a folder or manifest of what is to be labelled")
    checkpoint, overrides = take_option(rest, "checkpoint", "")
    from mmml.predict.command import predict

    return predict(checkpoint or None, support, query, overrides)


def data() -> None:
    """``mmml-data``."""
    sys.exit(guarded("mmml-data", lambda: _data(sys.argv[1:])))


def _data(arguments: list[str]) -> int:
    if not arguments or set(arguments) & {"-h", "--help"}:
        print(DATA_HELP, end="")
        return 0
    command, *rest = arguments
    takes = {"check": "folder or manifest: mmml-data check PATH"}
    takes |= {name: f"dataset: mmml-data {name} NAME" for name in ("show", "get")} | {"cache": ""}
    if command not in takes:
        raise UserError(f"{command} is no command{did_you_mean(command, takes)} (known: {', '.join(takes)})")
    paths = [a for a in rest if "=" not in a or expanded(a).exists()]  # a folder may be called a=b
    options = [a for a in rest if a not in paths]
    if command == "cache":
        from mmml.check.cache import cache

        return cache(paths, options)
    if len(paths) != 1:
        raise UserError(f"give one {takes[command]}" + (", options as key=value" if paths else ""))
    if command == "get":
        return _get(paths[0], options)
    if command == "show":
        from mmml.check.show import show

        return show(paths[0], options)
    from mmml.check.command import check

    return check(paths[0], *take_option(options, "data.page", "data.html", wanted="a file name"))


def _get(name: str, options: list[str]) -> int:
    from mmml.data.on_disk import get

    root, others = take_option(options, "dataset.root", "", wanted="a folder")
    if others:
        raise UserError(f"{others[0]}: mmml-data get takes dataset.root= alone")
    return get(name, root or None)


def report() -> None:
    """``mmml-report``."""
    sys.exit(guarded("mmml-report", lambda: _report(sys.argv[1:])))


def _report(arguments: list[str]) -> int:
    if set(arguments) & {"-h", "--help"}:
        print(REPORT_HELP, end="")
        return 0
    if len(arguments) != 1:
        raise UserError("give one folder, a run or a sweep: mmml-report RUN")
    folder = expanded(arguments[0])
    from mmml.reporting import write_report
    from mmml.reporting.sweep import is_sweep

    if is_sweep(folder):
        return 1 if _summarise(folder) else 0
    print(write_report(folder))
    return 0


def _version() -> int:
    print(f"mmml {mmml.__version__}")
    return 0


def guarded(program: str, main: Callable[[], int]) -> int:
    """Turn expected errors into one sentence on stderr and exit code 2."""
    open_streams()
    try:
        if not set(sys.argv) & {"-h", "--help", "--version"}:
            check_working_folder()
        code = _version() if "--version" in sys.argv[1:] else main()
        sys.stdout.flush()  # a failure is then reported below
        return code
    except BrokenPipeError:  # whoever read the output has seen enough
        return 0
    except (ExpectedError, OSError) as error:
        if not isinstance(known := expected(error), ExpectedError):
            raise
        with suppress(OSError):
            print(f"{program}: {known}", file=sys.stderr)
        return known.exit_code
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)
        return 130
    finally:
        settle_streams()
