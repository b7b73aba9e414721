"""Reading of figures from the folders of runs, as listed in a
:class:`reproductions.Reproduction`.
"""

import operator
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache, reduce
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from results import Baseline, Figure, Published, rounded

from mmml.errors import UserError
from mmml.evaluation.evaluators.robustness import ALL
from mmml.evaluation.results import ResultKey
from mmml.evaluation.statistics import interval, paired_interval
from mmml.reporting.rows import (
    Row,
    column,
    is_baseline,
    is_calibration,
    is_ranking,
    mapping,
    uncorrupted,
)
from mmml.reporting.verdicts import verdict_items
from mmml.run_directory import RunDirectory


@dataclass(frozen=True)
class Ran:
    """A cell of a reproduction that has been run.

    Attributes:
        unit: figures are means over units.
        group: figures select cells by group.
        folders: the folder of ``result.json`` for each evaluation; ``test`` is the run directory.
    """

    unit: str
    group: str
    folders: Mapping[str, Path]


Found = Sequence[Ran]


@dataclass(frozen=True)
class Score:
    """Reads the score of a row of results, with all baselines of the same column.

    Attributes:
        mapping: as reports show it, such as ``image:image`` or ``image → text``; or the family of
            problems.
        column: such as ``20-way 1-shot``, ``R@1``, ``mean loss, step 100``.
        metric: None for the first one of the column.
        evaluations: the evaluations whose mean is reported.
        group: of the cells to read.
        subset: of the queries, such as ``new words``.
        predictor: None for the learned one.
        error: whether to report 100 − accuracy instead of accuracy.
        published: the results of others.
        beside: other mappings whose learned row is a baseline.
        against: other groups whose learned row is a baseline.
        label: put before the mapping in the table.
    """

    mapping: str
    column: str
    metric: str | None = None
    evaluations: tuple[str, ...] = ("test",)
    group: str = ""
    subset: str | None = None
    predictor: str | None = None
    error: bool = False
    published: Published | None = None
    beside: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    label: str | None = None

    def __call__(self, found: Found) -> list[Figure]:
        """Return the figures."""
        ours = self.read(found, self.group, self.mapping, self.predictor)
        alone = sum(ran.group == self.group for ran in found) == 1
        names = dict.fromkeys(name for ran in found for name in self._baselines(ran, alone))
        others: dict[str, tuple[str, str, str | None]] = {
            name: (self.group, self.mapping, name) for name in names
        }
        others |= {other: (self.group, other, None) for other in self.beside}
        others |= {group: (group, self.mapping, None) for group in self.against}
        baselines = [
            self._baseline(name, ours, self.read(found, *which)) for name, which in others.items()
        ]
        row = ours.first
        value, ci95 = rounded(*ours.mean())
        several = len(ours.units) > 1
        figure = Figure(
            what=", ".join(
                filter(None, (self.label, f"`{self.mapping}`", self._played(row), self.subset))
            ),
            metric="error" if self.error else row["metric"],
            unit="%" if row["percent"] else "",
            higher_is_better=row["higher_is_better"] != self.error,
            value=value,
            interval=ci95,
            over=None if several else "queries" if is_ranking(row) else row["unit"],
            episodes=row["n"],
            each=_each(ours.units),
            published=self.published,
            baselines=baselines,
        )
        return [figure]

    def _played(self, row: Row) -> str | None:
        """Return ways and shots, or the step of a problem; for a ranking only the metric."""
        if "step" in row:
            return f"step {row['step']}"
        return None if is_ranking(row) else self.column

    def _baselines(self, ran: Ran, alone: bool) -> list[str]:
        """Return the names of the baseline rows, without their searched rate if there are several
        runs.
        """
        rows = (
            []
            if ran.group != self.group
            else uncorrupted(rows_of(ran.folders[self.evaluations[0]]))
        )
        names = [
            r["predictor"]
            for r in rows
            if is_baseline(r) and self._is_of(r, self.mapping, r["predictor"])
        ]
        return [name if alone else _without_rate(name) for name in names]

    def _baseline(self, name: str, ours: "Scores", other: "Scores") -> Baseline:
        value, ci95 = rounded(*other.mean())
        return Baseline(f"`{name}`", value, ci95, *rounded(*ours.less(other)))

    def read(self, found: Found, group: str, which: str, predictor: str | None) -> "Scores":
        """Return the scores of a row in all cells of a group that have it.

        Raises:
            LookupError: no cell has it.
        """
        rows: dict[str, list[tuple[Path, Row]]] = {}
        for ran in found:
            if ran.group != group:
                continue
            for folder in (ran.folders[e] for e in self.evaluations):
                some = [r for r in uncorrupted(rows_of(folder)) if self._is_of(r, which, predictor)]
                rows.setdefault(ran.unit, []).extend([(folder, some[0])] if some else [])
        rows = {unit: several for unit, several in rows.items() if several}
        if not rows:
            raise LookupError(
                f"no result.json has {which}, {self.column}, {predictor or 'the learned row'}"
            )
        return Scores(rows, self.error)

    def _is_of(self, row: Row, which: str, predictor: str | None) -> bool:
        name = row["predictor"]
        of_it = (
            not is_baseline(row) if predictor is None else predictor in (name, _without_rate(name))
        )
        matches = self.metric in (None, row["metric"]) and row.get("subset") == self.subset
        return (
            of_it
            and matches
            and not is_calibration(row)
            and (mapping(row), column(row)) == (which, self.column)
        )


@dataclass(frozen=True)
class Scores:
    """The rows of one predictor by unit, each with the folder of its evaluation.

    Attributes:
        rows: of one metric.
        error: whether to report 100 − accuracy instead of accuracy.
    """

    rows: dict[str, list[tuple[Path, Row]]]
    error: bool = False

    @property
    def first(self) -> Row:
        """The first row of the first unit."""
        return next(iter(self.rows.values()))[0][1]

    @property
    def scale(self) -> float:
        """The factor from shares to per cent, 100; 1 for other metrics."""
        return 100 if self.first["percent"] else 1

    @property
    def units(self) -> dict[str, float]:
        """Return the mean of each unit."""
        means = {
            unit: self.scale * statistics.mean(r["mean"] for _, r in rows)
            for unit, rows in self.rows.items()
        }
        return {unit: 100 - mean if self.error else mean for unit, mean in means.items()}

    def mean(self) -> tuple[float, float | None]:
        """Return the mean with its interval over units; over episodes if all rows are the same, as
        for raw inputs.
        """
        rows = [row for several in self.rows.values() for _, row in several]
        if len({row["mean"] for row in rows}) == 1:
            ci95 = rows[0]["ci95"]
            return next(iter(self.units.values())), None if ci95 is None else self.scale * ci95
        return interval(np.array(list(self.units.values())))

    def less(self, other: "Scores") -> tuple[float, float | None]:
        """Return how much better this is than other scores, paired by unit, or by episode for a
        single run.
        """
        sign = 1 if self.first["higher_is_better"] else -1
        mine = self._only()
        theirs = other._only()
        if (
            mine
            and theirs
            and (a := episodes(*mine)) is not None
            and (b := episodes(*theirs)) is not None
        ):
            mean, ci95 = paired_interval(a, b, mine[1].get("answers"))
            return sign * self.scale * mean, self.scale * ci95
        sign = -sign if self.error else sign
        shared = [unit for unit in self.units if unit in other.units]
        return interval(
            np.array([sign * (self.units[unit] - other.units[unit]) for unit in shared])
        )

    def _only(self) -> tuple[Path, Row] | None:
        """Return the row if there is only one."""
        rows = [row for several in self.rows.values() for row in several]
        return rows[0] if len(rows) == 1 else None


def _without_rate(predictor: str) -> str:
    """Return ``adam`` for ``adam, rate 0.01``: seeds may have different tuned rates."""
    return predictor.split(", rate ")[0]


@cache
def rows_of(folder: Path) -> list[Row]:
    """Return the rows of ``result.json``."""
    return list(result_in(folder)["results"])


def result_in(folder: Path) -> dict[str, Any]:
    """Return the content of ``result.json``.

    Raises:
        UserError: it is missing, or from another version of mmml.
    """
    result = RunDirectory(folder).read_result()
    if result is None:
        raise UserError(
            f"{folder} has no result.json: remove the folder, and run the reproduction again"
        )
    return result


def key_of(row: Row) -> Row:
    """Return the fields that identify a row; None for fields that do not apply."""
    return {field.name: row.get(field.name) for field in fields(ResultKey)}


def episodes(folder: Path, row: Row) -> np.ndarray | None:
    """Return the score of each episode of a row; None if they were not kept."""
    key = {k: "+".join(v) if isinstance(v, list) else v for k, v in key_of(row).items()}
    wanted = [pc.field(k).is_null() if v is None else pc.field(k) == v for k, v in key.items()]
    (path,) = {*folder.glob("episodes.parquet"), *folder.glob("eval/test/episodes.parquet")}
    table = pq.read_table(path, filters=reduce(operator.and_, wanted))
    return table.sort_by("episode")["score"].to_numpy() if len(table) > 1 else None


@dataclass(frozen=True)
class Calibration:
    """Reads the calibration error of the learned row in the worst column."""

    def __call__(self, found: Found) -> list[Figure]:
        """Return the figures."""
        each = {ran.unit: 100 * max(map(_error, rows_of(ran.folders["test"]))) for ran in found}
        value, ci95 = rounded(*interval(np.array(list(each.values()))))
        return [
            Figure("worst column", "calibration error", "%", False, value, ci95, each=_each(each))
        ]


def _each(units: dict[str, float]) -> dict[str, float] | None:
    """Return the rounded values; None for a single one."""
    return (
        {unit: rounded(value, None)[0] for unit, value in units.items()} if len(units) > 1 else None
    )


def _error(row: Row) -> float:
    return float(row["mean"]) if is_calibration(row) and not is_baseline(row) else 0.0


@dataclass(frozen=True)
class Verdicts:
    """Reads the verdicts (whether adaptation helps), each by its first metric at the largest
    support set.
    """

    def __call__(self, found: Found) -> list[Figure]:
        """Return one figure for each verdict."""
        ((ran),) = found
        result = result_in(ran.folders["test"])
        return [
            _of_verdict(result, verdict, [a.outcome for a in item.against])
            for verdict, item in zip(
                result["verdicts"], verdict_items(result["verdicts"]), strict=True
            )
        ]


def _of_verdict(result: Row, verdict: Row, gains: list[str]) -> Figure:
    """Return the figure of the learned row, with the best row of each role as a baseline, and other
    metrics by which it is worse.
    """
    (row,) = (r for r in result["results"] if key_of(r) == key_of(verdict))
    scale, comparisons = 100 if row["percent"] else 1, verdict["comparisons"]
    value, ci95 = rounded(scale * row["mean"], scale * row["ci95"])
    return Figure(
        what=f"{'+'.join(verdict['query'])}, {verdict['shots']} shots",
        metric=row["metric"],
        unit="%" if row["percent"] and row["metric"] not in ("chrF", "BLEU", "ROUGE-L") else "",
        higher_is_better=row["higher_is_better"],
        value=value,
        interval=ci95,
        over=row["unit"],
        episodes=row["n"],
        baselines=[
            Baseline(
                f"{c['role']}, `{c['other']}`",
                None,
                None,
                *rounded(scale * c["mean"], scale * c["ci95"]),
            )
            for c in comparisons
        ],
        adaptation_helps=verdict["passed"],
        worse_by=[
            f"{c['metric']} {gain} ({c['role']})"
            for c, gain in zip(verdict["losses"], gains[len(comparisons) :], strict=True)
        ],
    )


@dataclass(frozen=True)
class Areas:
    """Reads the area under the robustness curves of one fusion.

    Attributes:
        fusion: chosen on validation.
        beside: ``validation``: all fusions on that split, at the first seed; ``concat``: the other
            fusion that is evaluated on test; ``one modality``: the same fusion with one modality
            alone, on test.
    """

    fusion: str
    beside: str

    def __call__(self, found: Found) -> list[Figure]:
        """Return the figures."""
        evaluation = "robust-val" if self.beside == "validation" else "robust-test"
        areas: dict[str, dict[str, dict[str, Row]]] = {}  # by fusion, unit and mapping
        for ran in (ran for ran in found if evaluation in ran.folders):
            areas.setdefault(ran.group, {})[ran.unit] = areas_of(ran.folders[evaluation])

        def each(fusion: str, which: str) -> np.ndarray:
            return np.array([scale * of_unit[which]["mean"] for of_unit in areas[fusion].values()])

        first = next(iter(areas[self.fusion].values()))
        fused = max(first, key=lambda which: which.count("+"))
        scale = 100 if first[fused]["percent"] else 1
        sign = 1 if first[fused]["higher_is_better"] else -1
        ours = each(self.fusion, fused)
        if self.beside == "one modality":
            others = {
                f"`{which}` alone": each(self.fusion, which) for which in first if which != fused
            }
        else:
            others = {
                f"{fusion} fusion": each(fusion, fused) for fusion in areas if fusion != self.fusion
            }
        value, ci95 = rounded(*interval(ours))
        figure = Figure(
            what=(
                f"`{fused}`, {self.fusion}, "
                f"{'' if self.beside == 'validation' else 'beside '}{self.beside}"
            ),
            metric=f"area, {first[fused]['metric']}",
            unit="%" if first[fused]["percent"] else "",
            higher_is_better=first[fused]["higher_is_better"],
            value=value,
            interval=ci95,
            episodes=first[fused]["n"],
            each=_each(dict(zip(areas[self.fusion], ours.tolist(), strict=True))),
            baselines=[
                Baseline(
                    name, *rounded(*interval(other)), *rounded(*interval(sign * (ours - other)))
                )
                for name, other in others.items()
            ],
        )
        return [figure]


def areas_of(folder: Path) -> dict[str, Row]:
    """Return the area under the curves of each mapping over all corruptions, for the most ways and
    shots.
    """
    areas = [r for r in rows_of(folder) if r.get("corruption") == ALL]
    most = max((r["ways"], r["shots"]) for r in areas)
    return {mapping(r): r for r in areas if (r["ways"], r["shots"]) == most}
