"""``task=retrieval``: which of the candidates belongs to a query? An episode's pairs show what belongs together."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples, base_modality
from mmml.data.values import Subset
from mmml.episodes import EpisodeShape, ExampleSet
from mmml.errors import require
from mmml.similarity.distances import unit
from mmml.tasks.base import Metric, Task, tasks
from mmml.tasks.ranking import MEDIAN_RANK, RECALLS, rank_scores

INFONCE = Metric("InfoNCE", percent=False, higher_is_better=False)


@tasks.register("retrieval")
class Retrieval(Task):
    """Predictions are where the answers should lie, ``[B, q, width]``.

    They are learned among the answers to the queries of an episode, and judged among all answers of the domain.

    A task is a domain (a language, a topic), its support set some pairs of it. What is asked and what is found are
    embedded in one space, which the support set corrects: the metric method adds the mean of how far the answers of
    the support set lie from its items, weighted by distance (Nadaraya 1964; Watson 1964); the learned optimizer
    adapts a linear projection of what is asked.

    Args:
        target: the modality of what is to be found.
        temperature: what cosines are divided by in the loss; positive.
    """

    name = "retrieval"
    metrics = (*RECALLS.values(), MEDIAN_RANK)
    loss_metric = INFONCE
    embeds_target: ClassVar[bool] = True

    def __init__(self, target: str, temperature: float):
        require(0 < temperature < math.inf, "task.temperature", temperature, "a positive number")
        self.target, self.temperature = target, temperature

    def prepare_head(self, width: int, ways: int) -> int:
        return width

    def with_targets(self, samples: Samples) -> Samples:
        """Which rows have equal answers is known of texts, and where rows refer to the same file."""
        column, numbers = samples.columns[str(self.target)], None
        values = column.values
        if base_modality(str(self.target)) == "text" and not column.encoded:
            known: dict[str, int] = {}
            numbers = np.array([known.setdefault(str(text), len(known)) for text in values[:]], np.int64)
        elif isinstance(values, Subset):
            numbers = values.rows
        return replace(super().with_targets(samples), answer_numbers=numbers)

    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """Their weighted mean."""
        return log_weights.exp() @ support_targets

    def answers(self, predictions: Tensor, targets: Tensor | None) -> list[int]:
        assert targets is not None
        found: list[int] = fits(predictions, targets)[0].argmax(-1).tolist()
        return found

    def outputs(self, support: ExampleSet) -> int:
        return self.targets(support).shape[-1]

    def decode(self, outputs: Tensor) -> Tensor:
        return outputs

    def init_head(self, embedded: Tensor, targets: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """What changes nothing: answers are sought where the query is."""
        width = embedded.shape[-1]
        same = torch.eye(width, dtype=embedded.dtype, device=embedded.device) / scale
        return same.expand(len(embedded), -1, -1), embedded.new_zeros(len(embedded), width)

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """InfoNCE among the answers of an episode, in both directions (Radford et al., 2021)."""
        logits = fits(predictions, targets) / self.temperature
        right = logits.diagonal(dim1=-2, dim2=-1)
        directions = [(logits.logsumexp(dim) - right).mean(-1) for dim in (-1, -2)]
        return (directions[0] + directions[1]) / 2

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[Metric, Tensor]:
        """Recall at 1, 5 and 10, and the rank (from 1) among the answers to the queries of the episode."""
        own = torch.arange(targets.shape[-2], device=targets.device).expand(targets.shape[:-1])
        return rank_scores(fits(predictions, targets), own)

    def scores_among_candidates(
        self, predictions: Tensor, answers: Tensor, among: Iterable[tuple[np.ndarray, np.ndarray]]
    ) -> dict[Metric, Tensor]:
        """Recall at 1, 5 and 10, and the rank (from 1) among the candidates of each episode."""
        answers, each = unit(answers), []
        for sought, (rows, right) in zip(unit(predictions).to(answers.dtype), among, strict=True):
            fitting = (sought @ answers.mT)[:, torch.from_numpy(rows).to(sought.device)]
            each.append(rank_scores(fitting, torch.from_numpy(right).to(sought.device)))
        return {metric: torch.stack([scores[metric] for scores in each]) for metric in self.metrics}

    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        """It depends on how many candidates an episode has."""
        return {}


def fits(predictions: Tensor, targets: Tensor) -> Tensor:
    """The cosine of every prediction with every answer, ``[…, q, width], […, n, width]`` → ``[…, q, n]``."""
    return unit(predictions) @ unit(targets).mT.to(predictions.dtype)
