"""``task=retrieval``: find the candidate that belongs to a query, from pairs in the support set."""

import math
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples, base_modality
from mmml.data.values import Subset
from mmml.episodes import Episodes, EpisodeShape, Sampler
from mmml.episodes.candidates import candidate_rows
from mmml.errors import require
from mmml.similarity.distances import unit
from mmml.tasks.base import Metric, tasks
from mmml.tasks.ranking import MEDIAN_RANK, RECALLS, chance_among_candidates, rank_scores
from mmml.tasks.targets import ModalityTarget

INFONCE = Metric("InfoNCE", percent=False, higher_is_better=False)


@tasks.register("retrieval")
class Retrieval(ModalityTarget):
    """Retrieval: predictions are embeddings of the answers, ``[B, q, width]``.

    A task is a domain (a language, a topic), and its support set consists of pairs of it. Queries
    and answers are embedded in one space. The metric method corrects a query by the mean offset
    between the answers and the items of the support set, weighted by distance (Nadaraya 1964;
    Watson 1964). The learned optimizer adapts a linear projection of queries.

    Training compares predictions with the answers to all queries of an episode; evaluation ranks
    all answers of the domain.

    Args:
        target: the modality of the answers.
        temperature: divides cosines in the loss; positive.
    """

    name = "retrieval"
    metrics = (*RECALLS.values(), MEDIAN_RANK)
    loss_metric = INFONCE
    form: ClassVar[str] = "embedding"

    def __init__(self, target: str, temperature: float):
        require(0 < temperature < math.inf, "task.temperature", temperature, "a positive number")
        self.target, self.temperature = target, temperature

    @property
    def embedded_columns(self) -> set[str]:
        return {self.target}

    def prepare(self, samples: Samples) -> Samples:
        """Number the answers; equal texts, or values from the same row of a file, have the same
        number.
        """
        column, numbers = samples.columns[self.target], None
        if base_modality(self.target) == "text" and not column.encoded:
            known: dict[str, int] = {}
            numbers = np.array(
                [known.setdefault(str(text), len(known)) for text in column.values[:]], np.int64
            )
        elif isinstance(column.values, Subset):
            numbers = column.values.rows
        return replace(
            samples, columns={**samples.columns, self.target: replace(column, numbers=numbers)}
        )

    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """Return the weighted mean of the support targets."""
        return log_weights.exp() @ support_targets

    def output_size(self, support_targets: Tensor) -> int:
        return support_targets.shape[-1]

    def answers(self, predictions: Tensor, samples: Samples, drawn: Episodes) -> list[int]:
        ((rows, _),) = candidate_rows(samples, self.target, drawn)
        candidates = samples.columns[self.target].values[rows][None].to(predictions.device)
        return [int(rows[i]) for i in fits(predictions, candidates)[0].argmax(-1).tolist()]

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return InfoNCE among the answers of an episode, in both directions (Radford et al.,
        2021).
        """
        logits = fits(predictions, targets) / self.temperature
        right = logits.diagonal(dim1=-2, dim2=-1)
        directions = [(logits.logsumexp(dim) - right).mean(-1) for dim in (-1, -2)]
        return (directions[0] + directions[1]) / 2

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[Metric, Tensor]:
        """Return recall at 1, 5 and 10, and the rank (from 1) among the answers to the queries of
        the episode.
        """
        own = torch.arange(targets.shape[-2], device=targets.device).expand(targets.shape[:-1])
        return rank_scores(fits(predictions, targets), own)

    def scores_of_episodes(
        self, predictions: Tensor, targets: Tensor, samples: Samples, drawn: Episodes
    ) -> dict[Metric, Tensor]:
        """Return recall at 1, 5 and 10, and the rank (from 1) among the candidates of each
        episode.
        """
        answers, each = unit(samples.columns[self.target].values.to(predictions.device)), []
        among = candidate_rows(samples, self.target, drawn)
        for sought, (rows, right) in zip(unit(predictions).to(answers.dtype), among, strict=True):
            fitting = (sought @ answers.mT)[:, torch.from_numpy(rows).to(sought.device)]
            each.append(rank_scores(fitting, torch.from_numpy(right).to(sought.device)))
        return {metric: torch.stack([scores[metric] for scores in each]) for metric in self.metrics}

    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        """Return an empty dict: chance depends on the number of candidates."""
        return {}

    def chance_of_episodes(
        self, shape: EpisodeShape, sampler: Sampler, episodes: int
    ) -> dict[Metric, float]:
        drawn = sampler.draw(range(sampler.at_most(episodes)), shape)
        among = candidate_rows(self.prepare(sampler.samples), self.target, drawn)
        each = [chance_among_candidates(len(rows)) for rows, _ in among]
        return {metric: float(np.mean([e[metric] for e in each])) for metric in self.metrics}


def fits(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the cosine of each prediction with each answer, ``[…, q, width], […, n, width]`` →
    ``[…, q, n]``.
    """
    return unit(predictions) @ unit(targets).mT.to(predictions.dtype)
