"""Controls: what a learner must beat that is kept from the pairs of a task, or from its queries."""

from dataclasses import replace

import torch
from torch import Tensor

from mmml.data.base import Samples
from mmml.data.values import evenly_spaced
from mmml.episodes import EpisodeShape, ExampleSet, Mapping, gather, of_one_class
from mmml.methods.learner import Learner, Predictor, Role
from mmml.tasks import Task

KNOWN = 500  # samples of training that serve as a support set
AT_ONCE = 16  # episodes with so large a support set


class Control(Learner):
    """Another learner, kept from learning of the task.

    Args:
        learner: that adapts.
        variant: what is done to it, for tables.
    """

    ranks = False

    def __init__(self, learner: Learner, variant: str):
        super().__init__()
        self.learner, self.embedder, self.task = learner, learner.embedder, learner.task
        self.name, self.variant = learner.name, f"{learner.variant}, {variant}"
        self.embeds_once, self.transductive, self.is_small = (
            learner.embeds_once,
            learner.transductive,
            learner.is_small,
        )

    def max_episodes(self, shape: EpisodeShape) -> int | None:
        return self.learner.max_episodes(shape)


class PermutedTargets(Control):
    """It is shown the right items and the right answers, but in wrong pairs."""

    role = Role.PERMUTED

    def __init__(self, learner: Learner):
        super().__init__(learner, "permuted targets")

    def can_play(self, shape: EpisodeShape) -> bool:
        if self.task.per_sample_target:
            return shape.ways * shape.shots > 1  # one pair cannot be a wrong one
        even = shape.shots % shape.ways == 0  # else more of a class than of another would stay
        return even and self.learner.embeds_once  # values can be moved once they are embedded

    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        if self.task.per_sample_target:
            return self.learner.adapt(permute_targets(support.answered(self.embedder.encode)), task)
        return self.learner.adapt(shuffled_classes(support.encode(self.embedder.encode)), task)


class NoSupport(Control):
    """It is shown nothing: what is embedded with its answer lies where that is."""

    role = Role.NO_SUPPORT

    def __init__(self, learner: Learner):
        super().__init__(learner, "no support")

    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        return lambda query: self.embedder.fuse(query.encode(self.embedder.encode))


class Constant(Control):
    """It gives the same answer to every query of a task: one of the task's constants.

    Args:
        learner: whose embeddings are not looked at.
        variant: the name of the constant, see :class:`mmml.tasks.Task`.
    """

    role = Role.CONSTANT

    def __init__(self, learner: Learner, variant: str):
        super().__init__(learner, variant)
        self.name, self.variant = "constant", variant
        self.transductive = False  # whatever the learner is, queries are not looked at

    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        task = task or self.task
        targets = task.targets(support.answered(self.embedder.encode)).to(self.embedder.device)
        targets = task.constants[self.variant](targets)
        alike = targets.new_zeros(targets.shape[:2], dtype=torch.float32).log_softmax(-1)
        return lambda query: task.aggregate(
            alike.unsqueeze(1).expand(-1, query.labels.shape[1], -1), targets
        )


def constants(learner: Learner) -> list[Learner]:
    """A baseline for each constant answer that the task has."""
    return [Constant(learner, variant) for variant in learner.task.constants]


class TrainSetSupport(Control):
    """It is shown the training split, and nothing of the task.

    Args:
        learner: that adapts.
        train: samples of that split, of which some hundreds serve as the support set of every task.
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
        """Rows from all of the training split, evenly, as one support set
        of one class, embedded.
        """
        samples, mapping = self.task.prepare(self.train_samples), Mapping(shown, shown)
        rows = evenly_spaced(len(samples.labels), KNOWN)
        support, _ = gather(
            samples, of_one_class(rows, rows[:1]), [mapping], self.task.target
        ).view(mapping)
        return support.encode(self.embedder.encode).answered(self.embedder.encode)


def repeated(support: ExampleSet, batch: int) -> ExampleSet:
    """One embedded support set, for each of so many episodes."""
    columns = {
        m: c.map(lambda t: t.expand(batch, *t.shape[1:])) for m, c in support.columns.items()
    }
    shapes = {m: (batch, ways, n) for m, (_, ways, n) in support.shapes.items()}
    answers = None if support.answers is None else repeated(support.answers, batch)
    return replace(support, columns=columns, shapes=shapes, answers=answers)


def permute_targets(support: ExampleSet) -> ExampleSet:
    """The same items, each with the answer of another."""
    assert support.answers is not None
    answers = support.answers
    columns = {
        m: c.map(lambda t: in_wrong_places(t.flatten(1, 2)).view_as(t))
        for m, c in answers.columns.items()
    }
    return replace(support, answers=replace(answers, columns=columns))


def shuffled_classes(support: ExampleSet) -> ExampleSet:
    """Every class has as many samples of each class, and what belongs to a whole class is
    the mean of all classes'.
    """
    columns = {
        m: c.map(dealt if support.shapes[m][2] > 1 else class_mean)
        for m, c in support.columns.items()
    }
    return replace(support, columns=columns)


def class_mean(items: Tensor) -> Tensor:
    """``[B, ways, 1, …]``: the mean of all classes for each of them; of a mask,
    whether none is missing.
    """
    mean = items.all(1, keepdim=True) if items.dtype == torch.bool else items.mean(1, keepdim=True)
    return mean.expand_as(items)


def dealt(items: Tensor) -> Tensor:
    """``[B, ways, n, …]``: the jth of each class goes to the jth class after it."""
    return torch.stack([items[:, :, j].roll(j, dims=1) for j in range(items.shape[2])], dim=2)


def in_wrong_places(items: Tensor) -> Tensor:
    """``[B, n, …]``, each in the place of another, the same for each n; at random,
    for neighbours may be alike.
    """
    order = torch.randperm(
        items.shape[1], generator=torch.Generator().manual_seed(items.shape[1])
    ).to(items.device)
    moved = torch.empty_like(items)
    moved[:, order] = items[:, order.roll(1)]
    return moved
