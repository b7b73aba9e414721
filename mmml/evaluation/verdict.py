"""Verdicts: whether adaptation helps, from comparisons of a learned row with controls and
baselines.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from mmml.evaluation.results import Result, ResultKey, Results
from mmml.evaluation.statistics import finite, paired_interval
from mmml.methods import Role

MUST_BEAT = (Role.NO_SUPPORT, Role.PERMUTED, Role.CONSTANT, Role.UNTRAINED)


@dataclass(frozen=True)
class Comparison:
    """The difference between a learned row and the best row of a role, by one metric.

    Attributes:
        role: of the other row.
        other: the predictor of the other row.
        metric: name of the metric.
        percent, higher_is_better: of that metric.
        mean, ci95: the paired difference and its half-width; a positive mean says that the learned
            row is better, for all metrics.
    """

    role: Role
    other: str
    metric: str
    percent: bool
    higher_is_better: bool
    mean: float
    ci95: float

    @property
    def better(self) -> bool:
        """Whether the interval is above zero."""
        return self.mean > self.ci95

    @property
    def worse(self) -> bool:
        """Whether the interval is below zero."""
        return self.mean < -self.ci95


@dataclass(frozen=True)
class Verdict:
    """Whether a learned row passes, for the largest support set of a mapping.

    By the first metric of its table, the row must be better than no support, permuted targets, the
    best constant answer and the best untrained row, each by a paired interval that excludes zero.
    By the other metrics, it must not be worse than any of these. Untrained rows do not fuse
    modalities, so a row that fuses several must beat the untrained rows of each of them.

    Attributes:
        key: of the row, for the first metric of its table.
        comparisons: by that metric, with the best row of each role.
        losses: the comparisons by other metrics in which the learned row is worse.
        missing: the roles without a row in the table; nothing can be concluded then.
        diverged: the metrics of which the learned row has no finite score.
    """

    key: ResultKey
    comparisons: tuple[Comparison, ...]
    losses: tuple[Comparison, ...]
    missing: tuple[Role, ...]
    diverged: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether the row passes; a row that diverged in a task does not."""
        return not (self.missing or self.losses or self.diverged) and all(
            c.better for c in self.comparisons
        )

    def plain(self) -> dict[str, Any]:
        """Return the verdict for ``result.json``, with the fields of the key next to the others."""
        said = {**self.key.plain(), **asdict(self), "passed": self.passed}
        del said["key"]
        for compared in (*said["comparisons"], *said["losses"]):
            compared |= {k: finite(compared[k]) for k in ("mean", "ci95")}
        return said


def verdicts(results: Results) -> list[Verdict]:
    """Return the verdicts of all learned rows whose table has permuted targets."""
    found = []
    for rows in _learned(results).values():
        first = rows[0]
        others = [
            r
            for r in results
            if r.role in (*MUST_BEAT, Role.CHANCE) and _is_beside(r.key, first.key, r.role)
        ]
        if not any(r.role is Role.PERMUTED for r in others):
            continue
        head, *rest = [list(_compared(r, others)) for r in rows]
        found.append(
            Verdict(
                first.key,
                comparisons=tuple(head),
                losses=tuple(c for several in rest for c in several if c.worse),
                missing=tuple(r for r in MUST_BEAT if r not in {c.role for c in head}),
                diverged=tuple(r.key.metric for r in rows if not math.isfinite(r.mean)),
            )
        )
    return found


def _learned(results: Results) -> dict[ResultKey, list[Result]]:
    """Return the rows of each learned predictor and mapping with the most shots (and ways), one for
    each metric.
    """

    def about(key: ResultKey) -> ResultKey:
        return replace(key, metric="", ways=0, shots=0)

    found: dict[ResultKey, list[Result]] = {}
    for r in results.where(candidates=None, step=None, subset=None, corruption=None):
        largest = max((o.key.shots, o.key.ways) for o in results if about(o.key) == about(r.key))
        is_mean = r.n > 1 and r.ci95 is not None
        if r.role is Role.LEARNED and is_mean and (r.key.shots, r.key.ways) == largest:
            found.setdefault(about(r.key), []).append(r)
    return found


def _is_beside(other: ResultKey, learned: ResultKey, role: Role) -> bool:
    """Return whether a row is compared with a learned one: the same mapping or, for untrained rows,
    a part of its modalities.
    """
    same = all(
        getattr(other, k) == getattr(learned, k)
        for k in ("evaluator", "task", "target", "ways", "shots")
    )
    same = same and other.subset is None and other.corruption is None
    if role is Role.UNTRAINED:
        return (
            same
            and set(other.support) <= set(learned.support)
            and set(other.query) <= set(learned.query)
        )
    return same and (other.support, other.query) == (learned.support, learned.query)


def _compared(learned: Result, others: Iterable[Result]) -> Iterator[Comparison]:
    """Yield the comparison with the best row of each role by the metric of the learned row; nothing
    if a score is not finite.

    Chance replaces missing rows of no support and of constants, since it is an answer without any
    support set.
    """
    known = [r for r in others if r.key.metric == learned.key.metric and math.isfinite(r.mean)]
    known = known if math.isfinite(learned.mean) else []
    for role in MUST_BEAT:
        of_role = [r for r in known if r.role is role]
        if not of_role and role in (Role.NO_SUPPORT, Role.CONSTANT):
            of_role = [r for r in known if r.role is Role.CHANCE]
        if of_role:
            best = (max if learned.higher_is_better else min)(of_role, key=lambda r: r.mean)
            if (found := _difference(learned, best)) is not None:
                same = best.key.mapping == learned.key.mapping
                other = best.key.predictor if same else f"{best.key.predictor}, {best.key.mapping}"
                yield Comparison(
                    role,
                    other,
                    learned.key.metric,
                    learned.percent,
                    learned.higher_is_better,
                    *found,
                )


def _difference(learned: Result, other: Result) -> tuple[float, float] | None:
    """Return how much better the learned row is, and the half-width of the interval; None if it
    cannot be computed.
    """
    sign = 1 if learned.higher_is_better else -1
    if other.role is Role.CHANCE:
        return (
            (sign * (learned.mean - other.mean), learned.ci95) if learned.ci95 is not None else None
        )
    ours, theirs = learned.scores, other.scores
    if len(ours) != len(theirs) or len(ours) < 2 or not np.isfinite([ours, theirs]).all():
        return None
    mean, ci95 = paired_interval(ours, theirs, learned.answers)
    return sign * mean, ci95
