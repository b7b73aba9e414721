"""Does adaptation help? What a learned row must be better than for a claim that it does."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mmml.evaluation.panel import Cell, Panel
from mmml.evaluation.statistics import finite, paired_interval
from mmml.methods import Role

MUST_BEAT = (Role.NO_SUPPORT, Role.PERMUTED, Role.CONSTANT, Role.UNTRAINED)


@dataclass(frozen=True)
class Comparison:
    """A learned row less the best one of a role, by one metric.

    Attributes:
        role: of the other row.
        other: its predictor.
        metric: whose difference it is.
        percent, higher_is_better: of that metric.
        mean, ci95: of the paired difference; above 0 the learned row is better, also where less is better.
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
        """Whether the interval lies above zero."""
        return self.mean > self.ci95

    @property
    def worse(self) -> bool:
        """Whether it lies below."""
        return self.mean < -self.ci95


@dataclass(frozen=True)
class Verdict:
    """Whether a learned row passes, at the largest support set of a mapping.

    It passes where it is better, by the first metric of its table, than without a support set, with permuted targets,
    than the best constant answer and than the best row that nobody trained, by paired intervals that exclude
    zero; and worse than none of these by any other metric of the table. Rows that nobody trained fuse nothing: one of
    several modalities must beat those of each of them.

    Attributes:
        predictor, task, support, query, target, ways, shots: of the row.
        metric: the first of its table.
        comparisons: by the first metric, with the best row of each role.
        losses: by other metrics, where the learned row is worse.
        missing: roles of which the table has no row, so that nothing can be claimed.
        diverged: metrics by which the learned row has no finite score.
    """

    predictor: str
    task: str
    support: list[str]
    query: list[str]
    target: str | None
    ways: int
    shots: int
    metric: str
    comparisons: tuple[Comparison, ...]
    losses: tuple[Comparison, ...]
    missing: tuple[Role, ...]
    diverged: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """See above; a row that diverged in some task passes by no metric."""
        return not (self.missing or self.losses or self.diverged) and all(c.better for c in self.comparisons)

    def plain(self) -> dict[str, Any]:
        """For ``result.json``."""
        said = asdict(self) | {"passed": self.passed}
        for compared in (*said["comparisons"], *said["losses"]):
            compared |= {k: finite(compared[k]) for k in ("mean", "ci95")}
        return said


def verdicts(panel: Panel) -> list[Verdict]:
    """Of every learned row that stands beside itself with permuted targets."""
    found = []
    for (predictor, *_), cells in _rows(panel).items():
        first = cells[0]
        others = [c for c in panel.cells if c.role in (*MUST_BEAT, Role.CHANCE) and _is_beside(c, first)]
        if not any(c.role is Role.PERMUTED for c in others):
            continue
        by_metric = {c.metric: list(_compared(panel, c, others)) for c in cells}
        head, *rest = by_metric.values()
        found.append(
            Verdict(
                predictor,
                first.task,
                first.support,
                first.query,
                first.target,
                first.ways,
                first.shots,
                first.metric,
                comparisons=tuple(head),
                losses=tuple(c for several in rest for c in several if c.worse),
                missing=tuple(r for r in MUST_BEAT if r not in {c.role for c in head}),
                diverged=tuple(c.metric for c in cells if not math.isfinite(c.mean)),
            )
        )
    return found


def _rows(panel: Panel) -> dict[tuple[Any, ...], list[Cell]]:
    """The cells of every learned predictor under every mapping, of the most shots (and ways), by metric."""
    found: dict[tuple[Any, ...], list[Cell]] = {}
    for cell in panel.cells:
        if cell.role is Role.LEARNED and _is_whole(cell):
            key = cell.predictor, cell.task, cell.mapping
            largest = max((c.shots, c.ways) for c in panel.cells if (c.predictor, c.task, c.mapping) == key)
            if (cell.shots, cell.ways) == largest and cell.ci95 is not None:
                found.setdefault(key, []).append(cell)
    return found


def _is_whole(cell: Cell) -> bool:
    """Whether it is the mean over many episodes, and over all of their queries."""
    return cell.candidates is None and cell.step is None and cell.subset is None and cell.episodes > 1


def _is_beside(other: Cell, learned: Cell) -> bool:
    """Whether a row stands beside a learned one; untrained rows fuse nothing, and may show a part of its modalities."""
    same = all(getattr(other, k) == getattr(learned, k) for k in ("task", "target", "ways", "shots"))
    if other.role is Role.UNTRAINED:
        return same and set(other.support) <= set(learned.support) and set(other.query) <= set(learned.query)
    return same and other.mapping == learned.mapping


def _compared(panel: Panel, learned: Cell, others: Iterable[Cell]) -> Iterator[Comparison]:
    """With the best row of each role by the metric of the learned cell, if that is finite.

    Chance is a constant answer, known exactly.
    Where nothing is known of classes without a support set, chance is what is left without one.
    """
    alike = [c for c in others if c.metric == learned.metric and math.isfinite(c.mean) and math.isfinite(learned.mean)]
    for role in MUST_BEAT:
        of_role = [c for c in alike if c.role is role]
        if not of_role and role in (Role.NO_SUPPORT, Role.CONSTANT):
            of_role = [c for c in alike if c.role is Role.CHANCE]
        if of_role:
            best = (max if learned.higher_is_better else min)(of_role, key=lambda c: c.mean)
            if (found := _difference(panel, learned, best)) is not None:
                other = best.predictor if best.mapping == learned.mapping else f"{best.predictor}, {best.mapping}"
                yield Comparison(role, other, learned.metric, learned.percent, learned.higher_is_better, *found)


def _difference(panel: Panel, learned: Cell, other: Cell) -> tuple[float, float] | None:
    """How much better the learned cell is, and half the width of the interval of that; None if it is not known."""
    sign = 1 if learned.higher_is_better else -1
    if other.role is Role.CHANCE:
        return (sign * (learned.mean - other.mean), learned.ci95) if learned.ci95 is not None else None
    ours, theirs = (np.asarray(panel.scores[panel.cells.index(cell)]) for cell in (learned, other))
    if len(ours) != len(theirs) or len(ours) < 2 or not np.isfinite([ours, theirs]).all():
        return None
    mean, ci95 = paired_interval(ours, theirs, learned.answers)
    return sign * mean, ci95
