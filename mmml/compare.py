"""A comparison of several checkpoints on the same test episodes, with paired differences."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmml import run as runs
from mmml.config import Config, check_config
from mmml.config.compose import path_list
from mmml.config.schema import EvalEpisodes
from mmml.episodes import Mapping
from mmml.episodes.setup import eval_shapes
from mmml.errors import UserError
from mmml.evaluation.calibration import Calibration
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.evaluator import Evaluator, run_evaluators
from mmml.evaluation.paired import between
from mmml.evaluation.results import Results
from mmml.files import check_writable, write_json, write_text
from mmml.job import Change, Job, new_evaluation, write_scores
from mmml.methods import Learner
from mmml.provenance import describe
from mmml.reporting.rows import as_csv
from mmml.run_directory import RunDirectory
from mmml.training.checkpoint import find_checkpoint, load_checkpoint

log = logging.getLogger("mmml")

TESTED_BY = ("episode", "evaluation")  # sections of the first checkpoint that are used for all
SAME = ("dataset", "task")  # sections that must be the same for all
# Entries of run.json that describe one learner.
OF_ONE = ("predictor", "parameters", "transductive", "method")


def compare(given: str, name: str, overrides: list[str], change: Change) -> int:
    """Test the checkpoints of a list ``[a,b,…]`` and write ``outputs/eval/<name>/``; returns the
    exit code.

    All checkpoints are checked before the first one is tested, so that the comparison is fair.
    """
    folder = new_evaluation(RunDirectory("outputs"), name)
    checkpoints = load(path_list(given), change)
    typed = [f"checkpoint={given}", *overrides]
    comparison = build(checkpoints, ["mmml-eval", *typed])
    check_writable(folder)
    job = Job("mmml-eval", RunDirectory(folder), typed)
    return job.execute(lambda stop: comparison.run(job))


@dataclass(frozen=True)
class ComparedCheckpoint:
    """One of the checkpoints; its learner is loaded only when it is tested.

    Attributes:
        given: its path as typed.
        file: the checkpoint.
        plain: its config, with the overrides, and with the evaluation of the first checkpoint.
        modalities: the modalities that it has encoders for.
        as_trained: whether the method is unchanged since the calibration.
        known_classes: identifiers of the classes of its training and validation.
        about: entries for ``run.json``.
    """

    given: str
    file: Path
    plain: dict[str, Any]
    modalities: frozenset[str]
    as_trained: bool
    known_classes: list[str]
    about: dict[str, Any]

    @property
    def config(self) -> Config:
        """The config, checked."""
        return check_config(self.plain)

    def load(self) -> tuple[Learner, Calibration | None]:
        """Return the finished learner and its calibration."""
        checkpoint = load_checkpoint(self.file, "checkpoint")
        learner, _ = runs.build_learner(self.config, self.modalities)
        with naming(self.given):
            return learner, runs.load_finished(learner, checkpoint)


def check_episodes(learner: Learner, options: EvalEpisodes) -> None:
    """Refuse shapes and mappings that the learner of a checkpoint cannot use."""
    learner.check_shapes(eval_shapes(options))
    learner.check_mappings(map(Mapping.parse, options.mappings))


def load(paths: Sequence[str], change: Change) -> list[ComparedCheckpoint]:
    """Return the checkpoints, after checking that each can be compared with the first."""
    found: list[ComparedCheckpoint] = []
    for path in paths:
        with naming(path):
            checkpoint = _read(path, found[0].plain if found else None, change)
            if checkpoint.file in [c.file for c in found]:
                raise UserError(f"checkpoint={path} is listed twice: compare different checkpoints")
            refuse_unlike(found[0] if found else checkpoint, checkpoint)
            check_episodes(checkpoint.load()[0], checkpoint.config.episode.eval)
        found.append(checkpoint)
    return found


def _read(path: str, first: dict[str, Any] | None, change: Change) -> ComparedCheckpoint:
    file = find_checkpoint(path, "checkpoint", prefer="best")
    checkpoint = load_checkpoint(file, "checkpoint")
    own = check_config(checkpoint.config)
    tested = {section: (first or checkpoint.config)[section] for section in TESTED_BY}
    # The training episodes stay its own.
    tested["episode"] = tested["episode"] | {"train": checkpoint.config["episode"]["train"]}
    plain = change(checkpoint.config | tested)
    # Controls are left out; a checkpoint's own evaluation has them.
    plain["evaluation"] |= {"controls": False, "permuted_targets": False}
    return ComparedCheckpoint(
        given=path,
        file=file,
        plain=plain,
        modalities=frozenset(runs.modalities_of(own)),
        as_trained=plain["method"] == checkpoint.config["method"],
        known_classes=checkpoint.known_classes,
        about={
            "checkpoint": path,
            "file": str(file),
            "seed": own.seed,
            "steps": checkpoint.step,
            "best": checkpoint.best,
        },
    )


def refuse_unlike(first: ComparedCheckpoint, other: ComparedCheckpoint) -> None:
    """Raise ``UserError`` if a checkpoint has other data or another task than the first, or lacks
    encoders for all mappings.
    """
    for section in SAME:
        wanted, got = first.plain[section], other.plain[section]
        for key in {**wanted, **got}:
            if wanted.get(key) != got.get(key):
                settable = section == "dataset" and key != "name"
                hint = (
                    f"set {section}.{key}= for all"
                    if settable
                    else f"compare checkpoints of one {section}"
                )
                raise UserError(
                    f"it has {section}.{key}={got.get(key)} and checkpoint={first.given} has "
                    f"{wanted.get(key)}, but all must play the same episodes: {hint}"
                )
    mappings = [Mapping.parse(m) for m in first.config.episode.eval.mappings]
    playable = [m for m in mappings if m.modalities <= other.modalities]
    if not playable or (other is first and len(playable) < len(mappings)):
        lacking = sorted({m for mapping in mappings for m in mapping.modalities} - other.modalities)
        hint = "list one first that has them" if other is first else "leave it out"
        raise UserError(
            f"it has no encoder of {', '.join(lacking)}, which episode.eval.mappings="
            f"[{','.join(map(str, mappings))}] needs; {hint}, or choose other mappings"
        )


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Add the checkpoint's path to error messages."""
    try:
        yield
    except UserError as error:
        message = str(error)
        raise UserError(
            message if message.startswith("checkpoint=") else f"checkpoint={path}: {message}"
        ) from None


def build(checkpoints: list[ComparedCheckpoint], command: list[str]) -> "Comparison":
    """Build the comparison on the test episodes of the first checkpoint's config. Raises
    ``UserError`` for test classes that any checkpoint was trained on.
    """
    first = checkpoints[0]
    with naming(first.given):
        experiment = runs.assemble(first.config, trains=False)
    assert isinstance(experiment.context, EpisodeContext) and experiment.dataset is not None
    for checkpoint in checkpoints:
        with naming(checkpoint.given):
            runs.refuse_seen_classes(replace(experiment, known_classes=checkpoint.known_classes))
    info = {k: v for k, v in describe(experiment, command).items() if k not in OF_ONE}
    info["seeds"].pop("seed")
    info["checkpoints"] = [c.about for c in checkpoints]
    evaluators, skipped = experiment.evaluators, experiment.dataset.skipped
    return Comparison(
        checkpoints, evaluators, experiment.context, info, skipped, runs.notes(experiment)
    )


@dataclass
class Comparison:
    """Checkpoints and the episodes on which all of them are tested.

    Attributes:
        evaluators: run on each checkpoint.
        context: the samples and episodes that all checkpoints share.
        info: the content of ``run.json``.
        skipped: unusable samples that were left out.
        notes: remarks for readers of the scores.
    """

    checkpoints: list[ComparedCheckpoint]
    evaluators: list[Evaluator]
    context: EpisodeContext
    info: dict[str, Any]
    skipped: Sequence[str]
    notes: list[str]

    def run(self, job: Job) -> None:
        """Test the checkpoints one after the other, with only one learner in memory, and write the
        job's folder.
        """
        write_json(job.run.info, self.info)
        job.run.write_config(self.checkpoints[0].plain)
        job.run.write_skipped(self.skipped)
        results, names = merge(
            [self._test(c) for c in self.checkpoints], endings([c.file for c in self.checkpoints])
        )
        for checkpoint, name in zip(self.checkpoints, names, strict=True):
            checkpoint.about["predictor"] = name
        write_json(job.run.info, self.info)
        found = between(results, names).plain()
        job.fields |= {"results": results.plain(), "differences": found, "notes": self.notes}
        write_scores(job.run.path / "episodes.parquet", results)
        write_text(job.run.path / "results.csv", as_csv(results.plain()))
        write_text(job.run.path / "differences.csv", as_csv(found))
        job.fields["status"] = "completed"

    def _test(self, checkpoint: ComparedCheckpoint) -> Results:
        log.info("checkpoint=%s", checkpoint.given)
        learner, calibration = checkpoint.load()
        context = self.context
        if checkpoint is not self.checkpoints[0]:  # baselines are the same for all
            context = replace(context, options=replace(context.options, baselines=[]))
        for evaluator in self.evaluators:
            evaluator.check(learner, context)
        if not checkpoint.as_trained:
            calibration = context.calibrate(learner)
        parameters = sum(p.numel() for p in learner.parameters())
        checkpoint.about.update(
            parameters=parameters, transductive=learner.transductive, method=learner.describe()
        )
        if calibration is not None:
            self.notes.extend(
                f"{checkpoint.given}: {doubt}" for doubt in context.doubts(calibration)
            )
        return run_evaluators(learner, calibration, self.evaluators, context)[0]


def merge(tables: Sequence[Results], endings: Sequence[str]) -> tuple[Results, list[str]]:
    """Merge the results of all checkpoints; also return the new names of the learned predictors.

    Learned predictors come first. Predictors with equal names are distinguished by the ending of
    their checkpoint's path, and so are baselines whose results differ between checkpoints; equal
    baselines occur once.
    """
    parts: list[tuple[str, str, Results]] = []
    for results, ending in zip(tables, endings, strict=True):
        for name in dict.fromkeys(r.key.predictor for r in results):
            part = results.where(predictor=name)
            known = [p for n, _, p in parts if n == name and part.rows[0].baseline]
            if not any(part.same_as(p) for p in known):
                parts.append((name, ending, part))
    parts.sort(key=lambda part: part[2].rows[0].baseline)
    count, merged, learned = Counter(name for name, _, _ in parts), Results(), []
    for name, ending, part in parts:
        label = f"{name} ({ending})" if count[name] > 1 else name
        merged.extend(part.keyed(predictor=label))
        learned += [] if part.rows[0].baseline else [label]
    return merged, learned


def endings(files: Sequence[Path]) -> list[str]:
    """Return the shortest endings of paths that distinguish the checkpoints; endings of the run
    directories, if these suffice.
    """
    folders = [
        f.parent.parent if RunDirectory(f.parent.parent).is_run else f.with_suffix("")
        for f in files
    ]
    shared = Counter(folders)
    paths = [p if shared[p] == 1 else p / f.stem for p, f in zip(folders, files, strict=True)]
    for length in range(1, max(len(p.parts) for p in paths)):
        found = ["/".join(p.parts[-length:]) for p in paths]
        if len(set(found)) == len(found):
            return found
    return [str(f) for f in files]
