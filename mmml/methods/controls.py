"""Controls: the learner without the information of the support set, which it must beat."""

from dataclasses import replace

import torch
from torch import Tensor

from mmml.data.base import Samples
from mmml.data.values import evenly_spaced
from mmml.episodes import EpisodeShape, ExampleSet, Mapping, gather, of_one_class
from mmml.methods.learner import Learner, Predictor, Role
from mmml.tasks import Task

KNOWN = 500  # training samples in the support set of TrainSetSupport
AT_ONCE = 16  # episodes computed at a time with that support set


class Control(Learner):
    """Base class: a learner from which information about the task is withheld.

    Args:
        learner: the learner to control.
        variant: the name of the control in tables.
    """

    ranks = False

    def __init__(self, learner: Learner, variant: str):
        super().__init__()
        self.learner, self.embedder, self.task = learner, learner.embedder, learner.task
        self.name, self.variant = learner.name, f"{learner.variant}, {variant}"
        self.embeds_once = learner.embeds_once
        self.transductive = learner.transductive
        self.is_small = learner.is_small

    def max_episodes(self, shape: EpisodeShape) -> int | None:
        return self.learner.max_episodes(shape)


class PermutedTargets(Control):
    """The learner with permuted targets: each support item has the target of another."""

    role = Role.PERMUTED

    def __init__(self, learner: Learner):
        super().__init__(learner, "permuted targets")

    def can_play(self, shape: EpisodeShape) -> bool:
        if self.task.per_sample_target:
            return shape.ways * shape.shots > 1  # a single pair cannot be permuted
        even = shape.shots % shape.ways == 0  # else classes would be mixed unevenly
        return even and self.learner.embeds_once  # only embeddings can be permuted

    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        if self.task.per_sample_target:
            return self.learner.adapt(permute_targets(support.answered(self.embedder.encode)), task)
        return self.learner.adapt(shuffled_classes(support.encode(self.embedder.encode)), task)


class NoSupport(Control):
    """The learner without a support set: the prediction is the embedding of the query."""

    role = Role.NO_SUPPORT

    def __init__(self, learner: Learner):
        super().__init__(learner, "no support")

    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        return lambda query: self.embedder.fuse(query.encode(self.embedder.encode))


class Constant(Control):
    """Predicts the same answer for every query of a task: one of the task's constants.

    Args:
        learner: gives the task and the device; its embeddings are not used.
        variant: the name of the constant, see :class:`mmml.tasks.Task`.
    """

    role = Role.CONSTANT

    def __init__(self, learner: Learner, variant: str):
        super().__init__(learner, variant)
        self.name, self.variant = "constant", variant
        self.transductive = False  # predictions do not depend on queries at all

    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        task = task or self.task
        targets = task.targets(support.answered(self.embedder.encode)).to(self.embedder.device)
        targets = task.constants[self.variant](targets)
        alike = targets.new_zeros(targets.shape[:2], dtype=torch.float32).log_softmax(-1)
        return lambda query: task.aggregate(
            alike.unsqueeze(1).expand(-1, query.labels.shape[1], -1), targets
        )


def constants(learner: Learner) -> list[Learner]:
    """Return a baseline for each constant answer of the task."""
    return [Constant(learner, variant) for variant in learner.task.constants]


class TrainSetSupport(Control):
    """The learner with the same training samples as the support set of every task.

    Args:
        learner: the learner to control.
        train: the training split, of which at most ``KNOWN`` samples are used.
    """

    role = Role.NO_SUPPORT

    def __init__(self, learner: Learner, train: Samples):
        super().__init__(learner, "training-set support")
        self.train_samples = train
        self._known: dict[tuple[str, ...], ExampleSet] = {}

    def max_episodes(self, shape: EpisodeShape) -> int | None:
        return AT_ONCE

    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        shown = tuple(sorted(support.values))
        if shown not in self._known:
            self._known[shown] = self._support(shown)
        return self.learner.adapt(repeated(self._known[shown], len(support.labels)), task)

    def _support(self, shown: tuple[str, ...]) -> ExampleSet:
        """Return evenly spaced rows of the training split as one embedded support set of one
        class.
        """
        samples, mapping = self.task.prepare(self.train_samples), Mapping(shown, shown)
        rows = evenly_spaced(len(samples.labels), KNOWN)
        support, _ = gather(
            samples, of_one_class(rows, rows[:1]), [mapping], self.task.target
        ).view(mapping)
        return support.encode(self.embedder.encode).answered(self.embedder.encode)


def repeated(support: ExampleSet, batch: int) -> ExampleSet:
    """Return the same embedded support set for each of ``batch`` episodes."""
    columns = {
        m: c.map(lambda t: t.expand(batch, *t.shape[1:])) for m, c in support.columns.items()
    }
    shapes = {m: (batch, ways, n) for m, (_, ways, n) in support.shapes.items()}
    answers = None if support.answers is None else repeated(support.answers, batch)
    return replace(support, columns=columns, shapes=shapes, answers=answers)


def permute_targets(support: ExampleSet) -> ExampleSet:
    """Give each item the answer of another item."""
    assert support.answers is not None
    answers = support.answers
    columns = {
        m: c.map(lambda t: in_wrong_places(t.flatten(1, 2)).view_as(t))
        for m, c in answers.columns.items()
    }
    return replace(support, answers=replace(answers, columns=columns))


def shuffled_classes(support: ExampleSet) -> ExampleSet:
    """Distribute the samples of each class evenly over all classes; values that belong to whole
    classes become the mean over all classes.
    """
    columns = {
        m: c.map(dealt if support.shapes[m][2] > 1 else class_mean)
        for m, c in support.columns.items()
    }
    return replace(support, columns=columns)


def class_mean(items: Tensor) -> Tensor:
    """Replace each class's item by the mean over all classes, ``[B, ways, 1, …]``; in a mask, by
    whether all are present.
    """
    mean = items.all(1, keepdim=True) if items.dtype == torch.bool else items.mean(1, keepdim=True)
    return mean.expand_as(items)


def dealt(items: Tensor) -> Tensor:
    """Move the jth item of each class to the jth class after it, ``[B, ways, n, …]``."""
    return torch.stack([items[:, :, j].roll(j, dims=1) for j in range(items.shape[2])], dim=2)


def in_wrong_places(items: Tensor) -> Tensor:
    """Permute items ``[B, n, …]`` so that none stays in its place.

    The permutation is random, since neighbours may be similar, and always the same for the same n.
    """
    order = torch.randperm(
        items.shape[1], generator=torch.Generator().manual_seed(items.shape[1])
    ).to(items.device)
    moved = torch.empty_like(items)
    moved[:, order] = items[:, order.roll(1)]
    return moved
