"""Among what answers are sought: all different ones of an episode's classes but those of its support set."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from mmml.datasets import Samples
from mmml.episodes import Episodes, Sampler, Shape
from mmml.evaluation.embed import embed_all
from mmml.methods import Learner
from mmml.tasks import Metric, Task
from mmml.tasks.gallery import chance_among


@dataclass(frozen=True)
class Candidates:
    """The answers of a split.

    Attributes:
        samples: of the split.
        embeddings: of the answer of every row, ``[rows, width]``.
    """

    samples: Samples
    embeddings: Tensor

    @classmethod
    def embed(cls, learner: Learner, samples: Samples) -> "Candidates":
        """Each answer once, as the learner sees it before it adapts, for answers are not adapted to."""
        target = str(learner.task.target)
        values = embed_all(learner, samples, [target]).columns[target].values
        return cls(samples, values.to(learner.embedder.device))

    def of(self, drawn: Episodes) -> tuple[list[Tensor], list[np.ndarray]]:
        """Those of each episode, ``[n, width]``, and the number of the one that belongs to each query, ``[q]``."""
        several = list(among(self.samples, drawn))
        return [self.embeddings[rows] for rows, _ in several], [right for _, right in several]


def among(samples: Samples, drawn: Episodes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each episode the rows whose answers are its candidates, ``[n]``, and which of them each query has, ``[q]``.

    Every answer is there once, if only of rows that may be queries and are not in the support set.
    """
    numbers = np.arange(len(samples.labels)) if samples.answers is None else samples.answers
    for classes, support, query in zip(drawn.classes, drawn.support, drawn.query, strict=True):
        rows = np.concatenate([np.arange(*samples.starts[[c, c + 1]]) for c in classes])
        if samples.query_only is not None:
            rows = rows[samples.query_only[rows]]
        rows = np.setdiff1d(rows, support)
        different, first = np.unique(numbers[rows], return_index=True)
        yield rows[first], np.searchsorted(different, numbers[query.ravel()])


def expected(task: Task, shape: Shape, sampler: Sampler, episodes: int) -> dict[Metric, float]:
    """What guessing is expected to score: by the shape, or by the candidates of so many episodes of it."""
    if not task.embeds_target:
        return task.chance(shape)
    drawn = sampler.draw(range(sampler.at_most(episodes)), shape)
    each = [chance_among(len(rows)) for rows, _ in among(task.with_targets(sampler.samples), drawn)]
    return {metric: float(np.mean([e[metric] for e in each])) for metric in each[0]}
