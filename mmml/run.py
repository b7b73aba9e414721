"""A run, from its config to its results. This module connects all packages of the program:

config ─► data ─► episodes ─► encoders ─► method × task ─► training ─► run directory
                                                       └► evaluation ─► reporting
"""

import functools
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from mmml.config import Config, ProblemConfig, check_config
from mmml.data.base import Dataset, Samples, datasets
from mmml.data.novelty import identifiers, novelty, refuse_known
from mmml.encoders import build_embedder
from mmml.encoders.embedder import config_diff
from mmml.encoders.feature_cache import cache_features
from mmml.episodes import Mapping as EpisodeMapping
from mmml.episodes.corruptions import corrupted_modalities
from mmml.episodes.setup import (
    check_corruptions,
    check_mappings,
    check_shapes,
    for_episodes,
    training_batches,
)
from mmml.errors import UserError, did_you_mean
from mmml.evaluation.calibration import Calibration
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.embed import materialize
from mmml.evaluation.evaluator import Evaluator, build_evaluators
from mmml.evaluation.measured import measured
from mmml.evaluation.problems import ProblemContext
from mmml.evaluation.setting import episode_settings
from mmml.methods import Learner, Trainable, methods
from mmml.methods.learned_optimizer.problems import Family, build_solver, problems
from mmml.run_directory import RunDirectory
from mmml.tasks import Task, tasks
from mmml.training.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from mmml.training.loggers import check_loggers
from mmml.training.loop import Trainer, TrainerInputs
from mmml.training.numerics import Numerics, choose_numerics, step_seed
from mmml.world import World

log = logging.getLogger(__name__)


@dataclass
class Experiment:
    """All components that a config names.

    Attributes:
        dataset: None for problems that are made of random numbers.
        samples: by split; empty without a dataset.
        learner: a :class:`mmml.methods.Learner` if the run is on episodes.
        batches: takes the processes of the run; returns a function from step number to this
            process's training batch.
        evaluators: run on the finished learner.
        context: the data of evaluation and validation.
        known_classes: identifiers of the classes of training and validation.
        calibration: of the finished learner's confidence; None before training has finished.
    """

    config: Config | ProblemConfig
    dataset: Dataset | None
    samples: dict[str, Samples]
    learner: Any
    numerics: Numerics
    batches: Callable[[World], Callable[[int], Any]]
    evaluators: list[Evaluator]
    context: EpisodeContext | ProblemContext
    known_classes: list[str] = field(default_factory=list)
    calibration: Calibration | None = None


def assemble(config: Config | ProblemConfig, trains: bool = True) -> Experiment:
    """Build all components, and raise ``UserError`` if they do not fit together, before any
    training.

    Args:
        config: checked.
        trains: False for a finished learner, whose dataset then need not allow training.
    """
    torch.manual_seed(step_seed(config.seed, -1))  # seed of the initialization
    return on_problems(config) if isinstance(config, ProblemConfig) else on_episodes(config, trains)


def on_episodes(config: Config, trains: bool) -> Experiment:
    """Build a learner that adapts to episodes of a dataset."""
    dataset: Dataset = datasets.build_section(config.dataset, "dataset")
    task: Task = tasks.build_section(config.task, "task")
    task.check_dataset(dataset)
    mappings = check_mappings(config.episode, dataset, trains)
    corruptions = check_corruptions(config.episode, trains)
    used = {m for mapping in mappings for m in mapping.modalities}
    task.check(config.episode)
    task.check_mappings(mappings, dataset.modalities)
    learner, numerics = build_learner(config, used, task)
    if trains:
        learner.check_training([EpisodeMapping.parse(m) for m in config.episode.train.mappings])

    settings = episode_settings(config.episode.eval, dataset.modalities, task)
    learner.check_shapes(setting.shape for setting in settings)
    context = EpisodeContext(
        dataset.modalities, settings, config.evaluation, {}, corruptions["eval"]
    )
    learner.check_mappings(context.mappings)
    evaluators = build_evaluators(config.evaluation, EpisodeContext)
    for evaluator in evaluators:
        evaluator.check(learner, context)

    samples = for_episodes(dataset.load(used | task.target_columns), config.episode, trains)
    task.check_samples(samples)
    check_shapes(config.episode, samples, trains)
    context.samples = samples
    for evaluator in evaluators:
        evaluator.check_samples(context)

    def batches(world: World) -> Callable[[int], Any]:
        corrupted = corrupted_modalities(corruptions["train"]) | (
            {"image"} if config.episode.train.task_augmentation else set()
        )
        train, known = samples["train"], set(learner.embedder.encoders)
        fixed = learner.embeds_once and learner.embedder.frozen
        trained_on = (
            materialize(learner, train, known | task.target_columns, corrupted=corrupted)
            if fixed
            else cache_features(learner.embedder, task.prepare(train), known - corrupted)
        )
        size = config.trainer.meta_batch_size
        return training_batches(
            trained_on,
            config.episode.train,
            size,
            config.seed,
            corruptions["train"],
            task.target,
            world,
        )

    return Experiment(config, dataset, samples, learner, numerics, batches, evaluators, context)


def on_problems(config: ProblemConfig) -> Experiment:
    """Build a learned optimizer whose tasks are functions to be minimised."""
    evaluators = build_evaluators(config.evaluation, ProblemContext)
    section = dict(config.problem)
    training = {
        option: section.pop(option) for option in ("power", "random_scaling") if option in section
    }
    family: Family = problems.build_section(section, "problem")
    solver = build_solver(config.method, family, **training)
    numerics = choose_numerics(solver, config.trainer)
    numerics.move(solver)
    dataset, samples = None, {}
    if family.modalities:
        dataset = datasets.build_section(config.dataset or {}, "dataset")
        samples = dataset.load(family.modalities)
        for split, part in samples.items():
            family.check(part, split)
    context = ProblemContext(family, samples, config.evaluation, numerics.device)
    size = config.trainer.meta_batch_size

    def batches(world: World) -> Callable[[int], Any]:
        def batch(step: int) -> Any:
            numbers = world.share(range(step * size, (step + 1) * size))
            return family.draw(numbers, config.seed, "train", samples.get("train"), numerics.device)

        return batch

    return Experiment(config, dataset, samples, solver, numerics, batches, evaluators, context)


def build_learner(
    config: Config, modalities: Iterable[str], task: Task | None = None
) -> tuple[Learner, Numerics]:
    """Build the learner of a config for these modalities, before training, on its device; ``task``
    is the task if it is built already.
    """
    task = task or tasks.build_section(config.task, "task")
    embedded = task.embedded_columns
    embedder = build_embedder(config.encoder, {*modalities, *embedded}, alone=embedded)
    ways = config.episode.train.ways
    most = ways if isinstance(ways, int) else ways["max"]
    learner: Learner = methods.build_section(
        config.method, "method", embedder=embedder, task=task, ways=most
    )
    numerics = choose_numerics(learner, config.trainer)
    numerics.move(learner)
    return learner, numerics


def modalities_of(config: Config) -> set[str]:
    """The modalities that a learner of this config encodes: those of all its mappings."""
    mappings = (*config.episode.eval.mappings, *config.episode.train.mappings)
    return {m for mapping in mappings for m in EpisodeMapping.parse(mapping).modalities}


def prepare(
    config: Config | ProblemConfig,
    plain: dict[str, Any],
    run: RunDirectory,
    resume: Checkpoint | None = None,
) -> tuple[Experiment, Trainer]:
    """Prepare everything that training needs; ``plain`` is the config that checkpoints will
    store.
    """
    experiment = assemble(config)
    learner, context = experiment.learner, experiment.context
    experiment.known_classes = [
        i for s in ("train", "val") for i in identifiers(experiment.dataset, experiment.samples, s)
    ]
    if resume is None:
        learner.fit(experiment.samples.get("train"))
        load_initial_encoders(experiment)
        for note in learner.cut(experiment.samples.get("train")):
            log.warning(note)
    elif resume.known_classes[: len(experiment.known_classes)] != experiment.known_classes:
        raise UserError(
            "the dataset's training and validation classes are not those that the run "
            "began with: train anew"
        )
    else:
        experiment.known_classes = resume.known_classes
    check_monitor(config.trainer.monitor, context.monitors(learner))
    check_loggers(config.trainer.loggers)
    made = functools.cache(experiment.batches)

    def batch(step: int) -> Any:
        # Made at the first step, after frozen encoders are restored and have embedded the data.
        return made(run.world)(step)

    parts = TrainerInputs(
        batches=batch,
        validate=lambda: context.validate(learner),
        higher_is_better=context.metric_of(config.trainer.monitor).higher_is_better,
        measured=measured(config, context.fingerprint()),
        config=plain,
        known_classes=experiment.known_classes,
        seed=config.seed,
    )
    trainer = Trainer(learner, parts, config.trainer, experiment.numerics, run)
    if resume is not None:
        trainer.restore(resume)
    return experiment, trainer


def load_initial_encoders(experiment: Experiment) -> None:
    """Load the encoders of the run that ``init_from`` names."""
    config = experiment.config
    if config.init_from is None:
        if isinstance(config, Config) and config.encoder.get("frozen"):
            raise UserError(
                "encoder.frozen=true needs init_from=RUN: else nothing would ever have been learned"
            )
        return
    if isinstance(config, ProblemConfig):
        raise UserError("init_from= gives encoders, and a run on problems has none")
    checkpoint = load_checkpoint(
        find_checkpoint(config.init_from, "init_from", prefer="best"), "init_from"
    )
    learner = experiment.learner
    if checkpoint.config.get("problem"):
        raise UserError(f"init_from={config.init_from} is a run on problems, and has no encoders")
    theirs = check_config(checkpoint.config)
    if differs := config_diff(config.encoder, theirs.encoder, learner.embedder.encoders):
        raise UserError(
            f"init_from={config.init_from}: its encoders are others: set encoder.{differs}, "
            "as it has"
        )
    (first, last), (begin, end) = theirs.episode.train.class_range, config.episode.train.class_range
    if config.encoder.get("frozen") and max(first, begin) < min(last, end):
        log.warning(
            "init_from=%s: the encoders were trained on these classes, and what "
            "is learned here will trust them too much; train the encoders with "
            "'episode.train.class_range=[0,0.8]', and this run with [0.8,1]",
            config.init_from,
        )
    theirs.trainer.device = config.trainer.device  # their device may not exist here
    source, _ = build_learner(theirs, modalities_of(theirs))
    load_finished(source, checkpoint)
    try:
        learner.embedder.load_encoders(source.embedder)
    except ValueError as error:
        raise UserError(
            f"init_from={config.init_from}: its encoders do not fit ({error}): choose another run"
        ) from None
    experiment.known_classes += [
        c for c in checkpoint.known_classes if c not in set(experiment.known_classes)
    ]
    refuse_seen_classes(experiment, "init_from")


def check_monitor(monitor: str, known: list[str]) -> None:
    """Raise ``UserError`` for an unknown validation score, before training."""
    if monitor not in known:
        hint = did_you_mean(monitor, known) or f" (such as val/mean or {known[-1]!r})"
        raise UserError(f"trainer.monitor={monitor} is no validation score{hint}")


def finish(experiment: Experiment, run: RunDirectory) -> None:
    """Load the checkpoint that validation selected, and calibrate its confidence."""
    best = load_checkpoint(run.best, "trainer")
    experiment.learner.load_state_dict(best.learner)
    experiment.calibration = experiment.context.calibrate(experiment.learner)
    if run.world.is_main:
        replace(best, calibration=experiment.calibration.plain()).save(run.best)


def restore(config: Config | ProblemConfig, checkpoint: Checkpoint) -> Experiment:
    """Build a finished learner, to be tested with a config that may have another dataset and other
    episodes.
    """
    experiment = assemble(config, trains=False)
    experiment.calibration = load_finished(experiment.learner, checkpoint)
    # A changed method, whose confidence has not been calibrated.
    if config.method != checkpoint.config["method"]:
        experiment.calibration = experiment.context.calibrate(experiment.learner)
    experiment.known_classes = checkpoint.known_classes
    refuse_seen_classes(experiment)
    return experiment


def load_finished(learner: Trainable, checkpoint: Checkpoint) -> Calibration | None:
    """Load the parameters of a checkpoint into a learner; returns the calibration, or None if there
    is none.
    """
    try:
        learner.load_state_dict(checkpoint.learner)
    except RuntimeError:
        raise UserError(
            "the checkpoint's parameters do not fit these options; leave encoder and method alone"
        ) from None
    return (
        None if checkpoint.calibration is None else Calibration.from_plain(checkpoint.calibration)
    )


def refuse_seen_classes(experiment: Experiment, option: str = "checkpoint") -> None:
    """Raise ``UserError`` for test classes (or speakers, …) that a checkpoint was trained or
    validated on.
    """
    refuse_known(
        experiment.known_classes,
        identifiers(experiment.dataset, experiment.samples, "test"),
        option,
    )


def notes(experiment: Experiment) -> list[str]:
    """Return remarks for readers of the scores, in one sentence each."""
    note, calibration = novelty(experiment.dataset, experiment.samples), experiment.calibration
    return [note, *([] if calibration is None else experiment.context.doubts(calibration))]
