"""The table of results, from which everything is printed, compared, drawn and written."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from mmml.episodes import Mapping
from mmml.evaluation.statistics import finite
from mmml.methods import Role


@dataclass(frozen=True)
class ResultKey:
    """Identifies what a result measures: two results with the same key measure the same.

    Attributes:
        evaluator: name of the evaluator.
        split: ``test`` or ``val``.
        task: name of the task.
        predictor: such as ``metric/prototype``, ``raw/nearest``, ``chance``.
        support, query: the modalities of the mapping; for problems, the name of the family and an
            empty tuple.
        metric: the name of the score.
        ways, shots: of the episodes; 0 for problems.
        target: the modality of the answers; None for classes and scores.
        candidates: number of candidates of a ranking; None for other scores.
        step: the number of steps before a problem's loss; None for episodes.
        subset: the name of the subset of queries; None for all.
        corruption, modality: the corruption and the corrupted modality; None without corruption.
        amount: of the corruption, from 0 to 1; None for the area under the curve over all amounts.
        minus: in a difference, the predictor whose score is subtracted; None for scores.
    """

    evaluator: str
    split: str
    task: str
    predictor: str
    support: tuple[str, ...]
    query: tuple[str, ...]
    metric: str
    ways: int = 0
    shots: int = 0
    target: str | None = None
    candidates: int | None = None
    step: int | None = None
    subset: str | None = None
    corruption: str | None = None
    modality: str | None = None
    amount: float | None = None
    minus: str | None = None

    @property
    def mapping(self) -> str:
        """The mapping as it is written in configs."""
        return str(Mapping(self.support, self.query))

    def plain(self) -> dict[str, Any]:
        """Return the key as JSON values, without fields that are None."""
        return {
            k: list(v) if isinstance(v, tuple) else v
            for k, v in asdict(self).items()
            if v is not None
        }


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Attributes:
        key: identifies what is measured.
        mean: the score.
        ci95: the half-width of its 95 % interval; None if there is none.
        n: the number of scores in the mean; 0 if the score is known exactly.
        unit: the unit of ``n``: ``episodes``, ``galleries``, ``videos`` or ``problems``.
        role: the role of the predictor, such as learned, control or chance.
        transductive: whether the queries of an episode may influence one another.
        percent: whether the metric is shown times 100.
        higher_is_better: whether a higher score is better.
        ci95_classes: the half-width of the interval that treats classes as a sample, too; None if
            it is not known.
        answers: for shares of right answers, the number of answers of an episode; None for other
            scores.
        scores: the score of each episode, ``[n]``; empty if ``mean`` is no mean over episodes.
        classes: the classes of each episode, ``[n, ways]``; None if classes are not drawn.
    """

    key: ResultKey
    mean: float
    ci95: float | None
    n: int
    unit: str
    role: Role
    transductive: bool = False
    percent: bool = True
    higher_is_better: bool = True
    ci95_classes: float | None = None
    answers: int | None = None
    scores: np.ndarray = field(default_factory=lambda: np.empty(0), repr=False, compare=False)
    classes: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def baseline(self) -> bool:
        """Whether the predictor is a control or a baseline."""
        return self.role is not Role.LEARNED

    def keyed(self, **values: Any) -> "Result":
        """Return the result with other values in its key."""
        return replace(self, key=replace(self.key, **values))

    def plain(self) -> dict[str, Any]:
        """Return a row of ``result.json``, without fields that do not apply; a mean that is not
        finite is None.
        """
        row = self.key.plain() | {
            "n": self.n,
            "unit": self.unit,
            "role": self.role,
            "transductive": self.transductive,
        }
        row |= {"percent": self.percent, "higher_is_better": self.higher_is_better}
        row |= {"mean": finite(self.mean), "ci95": finite(self.ci95)}
        if self.key.minus is not None:
            row["clear"] = self.clear
        extra = {"ci95_classes": finite(self.ci95_classes), "answers": self.answers}
        return row | {k: v for k, v in extra.items() if v is not None}

    @property
    def clear(self) -> bool:
        """Whether the interval of a difference excludes 0."""
        return self.ci95 is not None and abs(self.mean) > self.ci95


@dataclass
class Results:
    """The table; its rows are in the order in which they were measured."""

    rows: list[Result] = field(default_factory=list)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, result: Result) -> None:
        """Append one row."""
        self.rows.append(result)

    def extend(self, results: Iterable[Result]) -> None:
        """Append several rows."""
        self.rows.extend(results)

    def where(self, **values: Any) -> "Results":
        """Return the rows whose keys have these values."""
        return Results([r for r in self if all(getattr(r.key, k) == v for k, v in values.items())])

    def keyed(self, **values: Any) -> "Results":
        """Return the same rows with other values in their keys."""
        return Results([r.keyed(**values) for r in self])

    def same_as(self, other: "Results") -> bool:
        """Return whether all rows and all scores behind them are equal."""
        return self.rows == other.rows and all(
            np.array_equal(a.scores, b.scores) for a, b in zip(self, other, strict=True)
        )

    def plain(self) -> list[dict[str, Any]]:
        """Return the rows of ``result.json``."""
        return [r.plain() for r in self]
