"""A run, from its config to its results: this file is the table of contents of the program.

config ─► dataset ─► episodes ─► encoder ─► method × task ─► trainer ─► run directory
                                                         └► evaluation ─► report
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from mmml.config import Config
from mmml.datasets import Dataset, Samples, datasets
from mmml.encoders import build_embedder
from mmml.episodes import Batch, Mapping, Sampler, Shape, gather
from mmml.episodes.sampler import choose_int
from mmml.errors import UserError
from mmml.evaluation.baselines import baselines
from mmml.evaluation.exhibits import make_exhibits
from mmml.evaluation.guards import check_independence
from mmml.evaluation.panel import Column, Panel, chance_panel, episode_columns, episode_panel
from mmml.evaluation.retrieval import retrieval_column, retrieval_panel
from mmml.methods import Learner, methods
from mmml.run_directory import RunDirectory
from mmml.tasks import Task, tasks
from mmml.trainer.checkpoint import Checkpoint, load_checkpoint
from mmml.trainer.loop import Parts, Trainer, step_seed
from mmml.trainer.numerics import Numerics, choose_numerics
from mmml.trainer.signals import Stop


@dataclass
class Experiment:
    """The parts that a config names, put together."""

    config: Config
    dataset: Dataset
    samples: dict[str, Samples]
    task: Task
    learner: Learner
    numerics: Numerics
    columns: list[Column]
    trained_on: list[str] = field(default_factory=list)


def assemble(config: Config) -> Experiment:
    """Build every part and refuse what does not fit together, before any training."""
    torch.manual_seed(step_seed(config.seed, -1))  # of the initialisation
    dataset = build("dataset", datasets, config)
    mappings = check_mappings(config, dataset)
    task = build("task", tasks, config)
    learner = build_learner(config, mappings, task)
    numerics = choose_numerics(learner, config.trainer)
    numerics.place(learner)
    columns = episode_columns(config.episode.eval, dataset.modalities, task)
    samples = dataset.load()
    check_shapes(config, samples)
    return Experiment(config, dataset, samples, task, learner, numerics, columns)


def prepare(
    config: Config, plain: dict[str, Any], run: RunDirectory, stop: Stop, resume: Checkpoint | None = None
) -> tuple[Experiment, Trainer]:
    """Everything that training needs; ``plain`` is the config as checkpoints will hold it."""
    experiment = assemble(config)
    experiment.trained_on = class_ids(experiment, "train")
    parts = Parts(training_batches(experiment), lambda: validate(experiment), plain, experiment.trained_on, config.seed)
    trainer = Trainer(experiment.learner, parts, config.trainer, experiment.numerics, run, stop)
    if resume is not None:
        trainer.restore(resume)
    return experiment, trainer


def load_best(experiment: Experiment, run: RunDirectory) -> None:
    """Go back to the parameters that validation selected."""
    experiment.learner.load_state_dict(load_checkpoint(run.best, "trainer").learner)


def restore(config: Config, checkpoint: Checkpoint) -> Experiment:
    """A finished learner, to be judged by a config that may differ in dataset and episodes."""
    experiment = assemble(config)
    try:
        experiment.learner.load_state_dict(checkpoint.learner)
    except RuntimeError:
        raise UserError(
            "the checkpoint's parameters do not fit this config; leave encoder and method as they were"
        ) from None
    experiment.trained_on = checkpoint.trained_on
    refuse_trained_classes(experiment)
    return experiment


def evaluate(experiment: Experiment) -> tuple[Panel, dict[str, Any]]:
    """The panel of the test split, baselines included, and the exhibits of the report."""
    config, learner, samples = experiment.config, experiment.learner, experiment.samples["test"]
    sampler = Sampler(samples, config.evaluation.seed, "test")
    retrieval = retrieval_column(samples, every_mapping(experiment.columns) if config.evaluation.retrieval else [])
    panel = Panel()
    for entrant in [learner, *build_baselines(experiment)]:
        if entrant is None:
            panel.extend(chance_panel("test", [*experiment.columns, retrieval]))
            continue
        panel.extend(episode_panel(entrant, samples, sampler, experiment.columns, config.evaluation.episodes))
        panel.extend(retrieval_panel(entrant, samples, "test", retrieval))
    if config.evaluation.guard:
        shape = experiment.columns[0].shape
        check_independence(learner, samples, sampler, shape, every_mapping(experiment.columns))
    return panel, make_exhibits(learner, samples, sampler, experiment.columns, retrieval)


def validate(experiment: Experiment) -> dict[str, float]:
    """The panel of the validation split by name, and its mean."""
    config, samples = experiment.config, experiment.samples["val"]
    sampler = Sampler(samples, config.evaluation.seed, "val")
    panel = episode_panel(
        experiment.learner, samples, sampler, experiment.columns, config.evaluation.validation_episodes
    )
    scores = {f"val/{c.mapping}/{c.ways}-way {c.shots}-shot": c.mean for c in panel.cells}
    return {"val/mean": sum(scores.values()) / len(scores), **scores}


def training_batches(experiment: Experiment) -> Callable[[int], Batch]:
    """Step number → its episodes, drawn anew each step."""
    config, samples = experiment.config, experiment.samples["train"]
    options, size = config.episode.train, config.trainer.batch
    sampler = Sampler(samples, config.seed, "train")
    mappings = [Mapping.parse(m) for m in options.mappings]

    def batch(step: int) -> Batch:
        rng = sampler.generator(step, purpose=1)
        shape = Shape(*(choose_int(rng, n) for n in (options.ways, options.shots, options.queries)))
        return gather(samples, sampler.draw(range(step * size, (step + 1) * size), shape), mappings)

    return batch


def build(group: str, registry: Any, config: Config, **context: Any) -> Any:
    """The part that a config group names, from its options."""
    options = dict(getattr(config, group))
    name = options.pop("name", None)
    if name is None:
        raise UserError(f"{group}.name is missing: it says which {group} to build")
    return registry.build(name, options, group, **context)


def build_learner(config: Config, mappings: list[Mapping], task: Task) -> Learner:
    """The method on the encoders that the mappings need."""
    modalities = {m for mapping in mappings for m in mapping.modalities}
    embedder = build_embedder(config.encoder, modalities)
    learner: Learner = build("method", methods, config, embedder=embedder, task=task)
    return learner


def build_baselines(experiment: Experiment) -> list[Learner | None]:
    """The entrants that learn nothing; None is chance."""
    names = experiment.config.evaluation.baselines
    makers = [baselines.get(name, "evaluation.baselines") for name in names]
    return [make(experiment.dataset.modalities, experiment.task) for make in makers]


def check_mappings(config: Config, dataset: Dataset) -> list[Mapping]:
    """All mappings of the config, parsed and possible on this dataset."""
    found = []
    for where, texts in (("train", config.episode.train.mappings), ("eval", config.episode.eval.mappings)):
        option = f"episode.{where}.mappings"
        for text in texts:
            mapping = Mapping.parse(text, option)
            mapping.check(dataset.modalities, dataset.name, option)
            found.append(mapping)
    return found


def check_shapes(config: Config, samples: dict[str, Samples]) -> None:
    """Refuse episodes that a split cannot fill, before training rather than after."""
    train, test = config.episode.train, config.episode.eval
    largest = [n if isinstance(n, int) else n["max"] for n in (train.ways, train.shots, train.queries)]
    Sampler(samples["train"], 0, "train").check(Shape(*largest), "episode.train")
    for split in ("val", "test"):
        Sampler(samples[split], 0, split).check(Shape(max(test.ways), max(test.shots), test.queries), "episode.eval")


def refuse_trained_classes(experiment: Experiment) -> None:
    """Test classes that a checkpoint has learned from would make its score a lie."""
    seen = sorted(set(experiment.trained_on) & set(class_ids(experiment, "test")))
    if seen:
        raise UserError(
            f"the checkpoint was trained on {len(seen)} of these test classes, such as {seen[0]!r}; "
            "leave dataset.split_seed and the split fractions as they were in training"
        )


def class_ids(experiment: Experiment, split: str) -> list[str]:
    """Identifiers of a split's classes, unique among datasets."""
    return [f"{experiment.dataset.name}/{c}" for c in experiment.samples[split].classes]


def every_mapping(columns: list[Column]) -> list[Mapping]:
    """The mappings of some columns, each once, in order."""
    return list(dict.fromkeys(m for c in columns for m in c.mappings))
