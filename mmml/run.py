"""A run, from its config to its results: this file is the table of contents of the program.

config ─► dataset ─► episodes ─► encoder ─► method × task ─► trainer ─► run directory
                                                         └► evaluation ─► report
"""

from dataclasses import dataclass, field
from typing import Any

import torch

from mmml.config import Config
from mmml.datasets import Dataset, Samples, datasets
from mmml.encoders import build_embedder
from mmml.episodes.plan import check_mappings, check_shapes, training_batches
from mmml.errors import UserError, nearest
from mmml.evaluation.judge import Judge
from mmml.evaluation.panel import episode_settings
from mmml.methods import Learner, methods
from mmml.run_directory import RunDirectory
from mmml.tasks import tasks
from mmml.trainer.checkpoint import Checkpoint, load_checkpoint
from mmml.trainer.loop import Parts, Trainer
from mmml.trainer.numerics import Numerics, choose_numerics, step_seed


@dataclass
class Experiment:
    """The parts that a config names, put together.

    Attributes:
        seen: identifiers of the classes that the learner was trained or selected on.
    """

    config: Config
    dataset: Dataset
    samples: dict[str, Samples]
    learner: Learner
    numerics: Numerics
    judge: Judge
    seen: list[str] = field(default_factory=list)


def assemble(config: Config, trains: bool = True) -> Experiment:
    """Build every part and refuse what does not fit together, before any training.

    Args:
        config: checked.
        trains: False for a finished learner on a dataset that it need not be able to train on.
    """
    torch.manual_seed(step_seed(config.seed, -1))  # of the initialisation

    dataset: Dataset = datasets.build_section(config.dataset, "dataset")
    mappings = check_mappings(config.episode, dataset, trains)
    task = tasks.build_section(config.task, "task")
    embedder = build_embedder(config.encoder, {m for mapping in mappings for m in mapping.modalities})
    learner: Learner = methods.build_section(config.method, "method", embedder=embedder, task=task)
    numerics = choose_numerics(learner, config.trainer)
    numerics.place(learner)

    samples = dataset.load()
    check_shapes(config.episode, samples, trains)
    settings = episode_settings(config.episode.eval, dataset.modalities, task)
    judge = Judge(samples, dataset.modalities, settings, config.evaluation)
    return Experiment(config, dataset, samples, learner, numerics, judge)


def prepare(
    config: Config, plain: dict[str, Any], run: RunDirectory, resume: Checkpoint | None = None
) -> tuple[Experiment, Trainer]:
    """Everything that training needs; ``plain`` is the config as checkpoints will hold it."""
    experiment = assemble(config)
    experiment.seen = class_ids(experiment, "train") + class_ids(experiment, "val")
    learner, judge = experiment.learner, experiment.judge
    check_monitor(config.trainer.monitor, judge.monitors)
    parts = Parts(
        episodes=training_batches(experiment.samples["train"], config.episode.train, config.trainer.batch, config.seed),
        validate=lambda: judge.validate(learner),
        higher_is_better=judge.higher_is_better,
        config=plain,
        seen=experiment.seen,
        seed=config.seed,
    )
    trainer = Trainer(learner, parts, config.trainer, experiment.numerics, run)
    if resume is not None:
        trainer.restore(resume)
    return experiment, trainer


def check_monitor(monitor: str, known: list[str]) -> None:
    """Refuse the name of no validation score before training."""
    if monitor not in known:
        hint = nearest(monitor, known) or f" (such as val/mean or {known[-1]!r})"
        raise UserError(f"trainer.monitor={monitor} is no validation score{hint}")


def load_best(experiment: Experiment, run: RunDirectory) -> None:
    """Go back to the parameters that validation selected."""
    experiment.learner.load_state_dict(load_checkpoint(run.best, "trainer").learner)


def restore(config: Config, checkpoint: Checkpoint) -> Experiment:
    """A finished learner, to be judged by a config that may differ in dataset and episodes."""
    experiment = assemble(config, trains=False)
    try:
        experiment.learner.load_state_dict(checkpoint.learner)
    except RuntimeError:
        raise UserError(
            "the checkpoint's parameters do not fit these options; leave encoder and method alone"
        ) from None
    experiment.seen = checkpoint.seen
    refuse_seen_classes(experiment)
    return experiment


def refuse_seen_classes(experiment: Experiment) -> None:
    """Test classes that a checkpoint was trained or selected on would make its score a lie."""
    seen = sorted(set(experiment.seen) & set(class_ids(experiment, "test")))
    if seen:
        raise UserError(
            f"the checkpoint was trained or selected on {len(seen)} of these test classes, such as {seen[0]!r}; "
            "leave dataset.split_seed and the split fractions as they were in training"
        )


def class_ids(experiment: Experiment, split: str) -> list[str]:
    """Identifiers of a split's classes, unique among datasets."""
    return [f"{experiment.dataset.name}/{c}" for c in experiment.samples[split].classes]
