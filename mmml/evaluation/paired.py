"""Paired differences on identical episodes: how much better one predictor is than another.

Scores differ more between episodes than between predictors, since an episode that is hard for one
predictor is mostly hard for others. Differences within an episode remove this variance. Their
interval decides which predictor is better; it is mostly narrower than the intervals of the two
scores suggest.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, permutations, product
from typing import Any

import numpy as np

from mmml.episodes import Mapping
from mmml.evaluation.results import Result, ResultKey, Results
from mmml.evaluation.statistics import class_interval, paired_interval


def from_baselines(results: Results) -> Results:
    """Return the differences between each learned predictor and each baseline of its table."""
    names = {r.key.predictor: r.baseline for r in results}
    learned, baselines = [n for n in names if not names[n]], [n for n in names if names[n]]
    return differences(results, product(learned, baselines))


def from_parts(results: Results) -> Results:
    """Return the differences between each mapping that fuses modalities and each one with fewer of
    them: what each modality adds.

    Only for learned predictors; ``minus`` also names the other mapping.
    """
    found = Results()
    for name in dict.fromkeys(r.key.predictor for r in results if not r.baseline):
        own = results.where(predictor=name)
        for full, part in permutations(
            dict.fromkeys(Mapping(r.key.support, r.key.query) for r in own), 2
        ):
            if set(part.support) <= set(full.support) and set(part.query) <= set(full.query):
                other = f"{name}, {part}"
                of_full, of_part = (
                    own.where(support=m.support, query=m.query) for m in (full, part)
                )
                moved = of_part.keyed(support=full.support, query=full.query, predictor=other)
                found.extend(differences(Results([*of_full, *moved]), [(name, other)]))
    return found


def between(results: Results, predictors: Sequence[str]) -> Results:
    """Return the differences of all pairs of these predictors, the earlier minus the later."""
    return differences(results, combinations(predictors, 2))


def differences(results: Results, pairs: Iterable[tuple[str, str]]) -> Results:
    """Return rows with the difference between the scores of two predictors, for some pairs of them.

    A row has the mean of score(predictor) − score(minus) over episodes and its
    :func:`mmml.evaluation.statistics.paired_interval`. These are skipped: rows without scores of
    single episodes (chance, calibration), rankings (their galleries show the same classes and are
    not independent), subsets of queries, corrupted episodes, and scores that are not finite.
    """
    played: dict[str, dict[ResultKey, Result]] = {}
    for r in results.where(candidates=None, subset=None, corruption=None):
        if len(r.scores) > 1 and np.isfinite(r.scores).all():
            played.setdefault(r.key.predictor, {})[replace(r.key, predictor="")] = r
    return Results(
        [found for a, b in pairs for found in _less(played.get(a, {}), played.get(b, {}))]
    )


def _less(of_a: dict[ResultKey, Result], of_b: dict[ResultKey, Result]) -> Iterator[Result]:
    for key, a in of_a.items():
        b = of_b.get(key)
        if b is not None and len(a.scores) == len(b.scores):
            mean, ci95 = paired_interval(a.scores, b.scores, a.answers)
            wide = (
                None if a.classes is None else class_interval(a.scores - b.scores, a.classes, ci95)
            )
            numbers: dict[str, Any] = {
                "mean": mean,
                "ci95": ci95,
                "ci95_classes": wide,
                "answers": None,
            }
            yield replace(a, key=replace(a.key, minus=b.key.predictor), **numbers)
