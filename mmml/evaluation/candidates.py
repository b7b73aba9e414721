"""Among what answers are sought: all different ones of an episode's classes but those of its support set."""

from collections.abc import Iterator

import numpy as np

from mmml.data.base import Samples
from mmml.episodes import Episodes, EpisodeShape, Sampler
from mmml.tasks import Metric, Task
from mmml.tasks.ranking import chance_among_candidates


def candidate_rows(samples: Samples, drawn: Episodes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each episode the rows whose answers are its candidates, ``[n]``, and which of them each query has, ``[q]``.

    Every answer is there once, and none that the support set has, or that its groups have, but those of the queries.
    Where some rows may only be queries, others are no candidates.
    """
    numbers = np.arange(len(samples.labels)) if samples.answer_numbers is None else samples.answer_numbers
    for classes, support, query in zip(drawn.classes, drawn.support, drawn.query, strict=True):
        rows = np.concatenate([np.arange(*samples.starts[[c, c + 1]]) for c in classes])
        shown = support.ravel()
        if samples.groups is not None:
            shown = rows[np.isin(samples.groups[rows], samples.groups[shown])]
        if samples.query_only is not None:
            rows = rows[samples.query_only[rows]]
        wanted = numbers[query.ravel()]
        rows = rows[~np.isin(numbers[rows], np.setdiff1d(numbers[shown], wanted))]
        different, first = np.unique(numbers[rows], return_index=True)
        yield rows[first], np.searchsorted(different, wanted)


def expected(task: Task, shape: EpisodeShape, sampler: Sampler, episodes: int) -> dict[Metric, float]:
    """What guessing is expected to score: by the shape, or by the candidates of so many episodes of it."""
    if not task.embeds_target:
        return task.chance(shape)
    drawn = sampler.draw(range(sampler.at_most(episodes)), shape)
    each = [chance_among_candidates(len(rows)) for rows, _ in candidate_rows(task.with_targets(sampler.samples), drawn)]
    return {metric: float(np.mean([e[metric] for e in each])) for metric in each[0]}
