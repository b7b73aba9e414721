"""Test one manifest: check, two training steps and predict, in this process."""

import contextlib
import csv
import functools
import io
import re
import shlex
import traceback
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf

import mmml
from manifests.dialects import Case
from manifests.reading import lost_rows
from mmml import run
from mmml.check.command import check
from mmml.config import check_run
from mmml.config.compose import parse, plain, quote_paths
from mmml.config.folders import conf_dir
from mmml.data.base import datasets
from mmml.data.manifest import ManifestRows, read_rows
from mmml.data.media import Limits, MediaError, decode
from mmml.data.media.pool import Failure
from mmml.errors import ExpectedError
from mmml.predict.command import predict
from mmml.run_directory import RunDirectory
from mmml.training.signals import Stop

TINY = """
encoder/text=mlp_text encoder/image=mlp_image encoder.width=8 encoder.text.hidden=8
encoder.image.hidden=8 encoder.image.size=8 encoder.audio.channels=4 encoder.features.channels=8
encoder.features.layers=1 encoder.features.heads=2 encoder.strokes.channels=8
encoder.strokes.layers=1 encoder.strokes.heads=2 encoder.strokes.points=8 trainer.steps=2
trainer.warmup=0 trainer.validate_every=2 trainer.checkpoint_every=2 trainer.device=cpu
evaluation.episodes=2 evaluation.validation_episodes=2 evaluation.controls=false
evaluation.baselines=[] evaluation/evaluators=[few_shot] dataset.val=0.3 dataset.test=0.3
"""


@dataclass
class Outcome:
    """The result of testing a manifest.

    Attributes:
        stages: the stages that it passed: ``read``, ``checked``, ``trained``, ``predicted``.
        sentences: the messages with which it was refused.
        findings: errors of mmml: tracebacks, unjustified refusals, lost rows and changed values.
        printed: the output of the commands.
    """

    stages: list[str] = field(default_factory=list)
    sentences: list[str] = field(default_factory=list)
    findings: dict[str, None] = field(default_factory=dict)
    printed: str = ""


class Here:
    """Decodes files in this process instead of a pool, which takes half a second to start."""

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *about: object) -> None:
        """Do nothing: there is no pool to stop."""

    def decode(
        self, modality: str, paths: Iterable[Path], limits: Limits
    ) -> Iterator[np.ndarray | Failure]:
        """Decode files as a pool does."""
        for path in paths:
            try:
                yield decode(modality, path, limits)
            except MediaError as error:
                yield Failure(str(error))


@functools.cache
def composed(choices: tuple[str, ...], name: str) -> DictConfig:
    """Return a config with these choices; cached, since Hydra takes half a second."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(name, list(choices))


def compose_quickly(overrides: Iterable[str], name: str = "train") -> dict[str, Any]:
    """Return the same as ``compose_plain``, but reuse composed configs."""
    choices = tuple(o for o in overrides if "." not in o.partition("=")[0])
    config = deepcopy(composed(choices, name))
    for override in parse(quote_paths([o for o in overrides if o not in choices])):
        OmegaConf.update(config, override.key_or_group, override.value(), merge=False)
    return plain(config)


@contextlib.contextmanager
def quickly() -> Iterator[None]:
    """Within this context, configs are composed and files are decoded faster than in a command."""
    with contextlib.ExitStack() as stack:
        for module in ("check.command", "predict.command"):
            stack.enter_context(mock.patch(f"mmml.{module}.compose_plain", compose_quickly))
        for module in ("data.media_cache", "predict.inputs"):
            stack.enter_context(mock.patch(f"mmml.{module}.Pool", Here))
        yield


def play(case: Case, work: Path) -> Outcome:
    """Read a manifest and compare, check it, train on it if the check says so, and predict its rows
    from themselves.
    """
    outcome = Outcome()
    rows = attempt(
        outcome,
        case.flaws,
        lambda: read_rows(str(case.root), "dataset.root", case.columns, bool(case.features)),
    )
    if rows is not None:
        outcome.stages.append("read")
        outcome.findings.update(dict.fromkeys(lost_rows(case, rows)))
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        options = own_options(case, "dataset")
        code = attempt(
            outcome,
            case.flaws,
            lambda: check(str(case.root), str(work / "data.html"), [*options, *TINY.split()]),
        )
        trained = None
        if code is not None:
            outcome.stages.append("checked")
            outcome.findings.update(dict.fromkeys(unaccounted(options, case)))
        if code == 0:
            command = re.findall("^Next: mmml-train (.*)$", said.getvalue(), re.MULTILINE)[-1]
            trained = attempt(outcome, [], lambda: train(shlex.split(command), work / "run"))
            outcome.stages += ["trained"] if trained else []
        attempt_prediction(outcome, case, rows, trained, work / "predictions.csv")
    outcome.printed = said.getvalue()
    return outcome


def attempt(outcome: Outcome, deserved: list[str], body: Any) -> Any:
    """Return the result of ``body``; None if it is refused or fails.

    A refusal whose message matches no pattern in ``deserved``, and any other error, is a finding.
    """
    try:
        return body()
    except ExpectedError as error:
        outcome.sentences.append(str(error))
        if not any(re.search(pattern, str(error)) for pattern in deserved):
            outcome.findings[f"refused, though nothing is wrong with it: {error}"] = None
    except Exception as error:
        outcome.findings[place_of(error)] = None
    return None


def place_of(error: Exception) -> str:
    """Return the error and the line of mmml that raised it."""
    frames = [
        f
        for f in traceback.extract_tb(error.__traceback__)
        if f"{Path(mmml.__file__).parent}/" in f.filename
    ]
    where = (
        f"{frames[-1].filename}:{frames[-1].lineno}: {frames[-1].line}"
        if frames
        else "outside of mmml"
    )
    return f"{where}\n  {type(error).__name__}: {str(error)[:300]}"


def own_options(case: Case, section: str) -> list[str]:
    """Return the options that this manifest needs."""
    columns = ", ".join(f"{m}: '{name}'" for m, name in case.columns.items())
    options = [f"{section}.columns={{{columns}}}"] if columns else []
    options += [f"{section}.on_bad_sample=skip"] if case.skip else []
    return options + ([f"{section}.features={case.features}"] if case.features else [])


def unaccounted(options: list[str], case: Case) -> Iterator[str]:
    """Yield messages about rows that are neither samples of a split nor listed as left out."""
    section = compose_quickly(
        ["dataset=manifest", f"dataset.root={case.root}", "dataset.on_bad_sample=skip", *options]
    )
    for modality in (dataset := datasets.build_section(section["dataset"], "dataset")).modalities:
        dataset = datasets.build_section(section["dataset"], "dataset")
        try:
            samples = dataset.load([modality])
        except ExpectedError:  # for example a class in two splits
            continue
        used = sum(len(s.labels) for s in samples.values())
        if used + len(dataset.skipped) != len(dataset.rows):
            yield (
                f"{modality}: {len(dataset.rows)} rows, {used} used, {len(dataset.skipped)} "
                "listed as left out"
            )


def train(overrides: list[str], folder: Path) -> Path:
    """Train for two steps with the options that the check suggests; return the folder of the
    run.
    """
    config = compose_quickly(overrides)
    place = RunDirectory(folder).create()
    experiment, trainer = run.prepare(check_run(config), config, place)
    trainer.fit(Stop())
    run.finish(experiment, place)
    place.write_config(config)
    return folder


def attempt_prediction(
    outcome: Outcome, case: Case, rows: ManifestRows | None, trained: Path | None, target: Path
) -> None:
    """Predict each row from all rows; every row must have its own line in the output."""
    options = [*own_options(case, "predict"), f"predict.output={target}", "predict.device=cpu"]
    checkpoint, place = str(trained) if trained else None, str(case.root)
    code = attempt(
        outcome,
        ["" if trained is None else "^$"],
        lambda: predict(checkpoint, place, place, options),
    )
    if code is None:
        return
    outcome.stages.append("predicted")
    with target.open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    if rows is not None and [line["id"] for line in lines] != rows.names.to_pylist():
        outcome.findings[
            "the predictions are not one for each row, in their order, under their ids"
        ] = None
    if any(bool(line["prediction"]) == bool(line["problem"]) for line in lines):
        outcome.findings["a row has both a prediction and a problem, or neither"] = None
