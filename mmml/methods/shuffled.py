"""A control: a support set whose answers belong to other items, which nothing that learns should match."""

from dataclasses import replace

import torch

from mmml.episodes import Examples
from mmml.methods.learner import Learner, Predictor
from mmml.tasks import Task


class Shuffled(Learner):
    """A learner that is shown the right items and the right answers, but in wrong pairs.

    Args:
        learner: that adapts.
    """

    baseline = True
    ranks = False

    def __init__(self, learner: Learner):
        super().__init__()
        self.learner, self.embedder, self.task = learner, learner.embedder, learner.task
        self.name, self.rule = learner.name, f"{learner.rule}, shuffled pairs"
        self.embeds_once, self.transductive, self.is_small = learner.embeds_once, learner.transductive, learner.is_small

    def at_once(self, ways: int) -> int | None:
        return self.learner.at_once(ways)

    def adapt(self, support: Examples, task: Task | None = None) -> Predictor:
        return self.learner.adapt(shuffled(support.answered(self.embedder.encode)), task)


def shuffled(support: Examples) -> Examples:
    """Every answer, or score, belongs to the item before; with one item nothing is changed."""
    targets = None if support.targets is None else support.targets.roll(1, dims=-1)
    if support.answers is None:
        return replace(support, targets=targets)
    answers = support.answers
    values = {m: _rolled(v) for m, v in answers.values.items()}
    return replace(support, targets=targets, answers=replace(answers, values=values))


def _rolled(embedded: torch.Tensor) -> torch.Tensor:
    """``[B, ways, n, width]``, moved on by one item."""
    return embedded.flatten(1, 2).roll(1, dims=1).view_as(embedded)
