"""Candidates of retrieval: all different answers of an episode's classes, except those of its
support set.
"""

from collections.abc import Iterator

import numpy as np

from mmml.data.base import Samples
from mmml.episodes.sampler import Episodes


def candidate_rows(
    samples: Samples, target: str, drawn: Episodes
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for each episode the rows whose answers are its candidates, ``[n]``, and the position
    of each query's answer among them, ``[q]``.

    Every answer occurs once. Answers of the support set, and of rows of the same groups, are left
    out unless a query has them, too. If some rows may only be queries, the other rows are no
    candidates.

    Args:
        samples: the split that the episodes were drawn from.
        target: the column of the answers.
        drawn: the episodes.
    """
    numbers = samples.columns[target].numbers
    numbers = np.arange(len(samples.labels)) if numbers is None else numbers
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
