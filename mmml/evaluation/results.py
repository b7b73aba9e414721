"""One table of results: everything that is printed, compared, ranked, drawn or
written comes from it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from mmml.episodes import Mapping
from mmml.evaluation.statistics import finite
from mmml.methods import Role


@dataclass(frozen=True)
class ResultKey:
    """Identifies what a result measures. Two results with the same key measure the same.

    Attributes:
        evaluator: that measured it.
        split: ``test`` or ``val``.
        task: of the episodes.
        predictor: ``metric/prototype``, ``raw/nearest``, ``chance``.
        support, query: the modalities of the mapping; of problems the name of the family,
            and nothing.
        metric: the name of the score.
        ways, shots: of the episodes; 0 for problems.
        target: the modality of the answers; None for classes and scores.
        candidates: how many a ranking ranks; None for other scores.
        step: of a problem's loss, after how many steps; None for episodes.
        subset: which queries count, if not all do.
        corruption, modality: what was corrupted, and how; None for nothing.
        amount: of the corruption, from 0 to 1; None for the area under the curve of all amounts.
        minus: of a difference, the predictor whose score is subtracted.
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
        """As it is written in configs."""
        return str(Mapping(self.support, self.query))

    def plain(self) -> dict[str, Any]:
        """As JSON values; what does not apply is left out."""
        return {
            k: list(v) if isinstance(v, tuple) else v
            for k, v in asdict(self).items()
            if v is not None
        }


@dataclass(frozen=True)
class Result:
    """One row of the table.

    Attributes:
        key: what is measured.
        mean, ci95: the score and half the width of its 95 % interval (None: there is none).
        n: how many scores it is the mean of; 0 for what is known exactly.
        unit: what these are: ``episodes``, ``galleries``, ``videos`` or ``problems``.
        role: what the predictor is in the table for.
        transductive: whether the queries of an episode may have influenced one another.
        percent: whether the metric is shown times 100.
        higher_is_better: whether more is better.
        ci95_classes: as ``ci95``, if the classes are taken for a sample too; None where
            that is not known.
        answers: of an episode whose score is the share of right answers, how many there are;
            None for other scores.
        scores: of each episode, ``[n]``; empty for what is no mean over episodes.
        classes: of each episode, ``[n, ways]``; None where classes are not drawn.
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
        """The same with another key."""
        return replace(self, key=replace(self.key, **values))

    def plain(self) -> dict[str, Any]:
        """A row of ``result.json``: what does not apply is left out; a mean that is
        no finite number is None.
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
        """Of a difference: whether the interval excludes 0."""
        return self.ci95 is not None and abs(self.mean) > self.ci95


@dataclass
class Results:
    """The table; its rows stand in the order in which they were measured."""

    rows: list[Result] = field(default_factory=list)

    def __iter__(self) -> Iterator[Result]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, result: Result) -> None:
        """Append one row."""
        self.rows.append(result)

    def extend(self, results: Iterable[Result]) -> None:
        """Append other rows."""
        self.rows.extend(results)

    def where(self, **values: Any) -> "Results":
        """The rows whose keys have these values."""
        return Results([r for r in self if all(getattr(r.key, k) == v for k, v in values.items())])

    def keyed(self, **values: Any) -> "Results":
        """The same rows with other keys."""
        return Results([r.keyed(**values) for r in self])

    def same_as(self, other: "Results") -> bool:
        """Whether all rows and all scores behind them are equal."""
        return self.rows == other.rows and all(
            np.array_equal(a.scores, b.scores) for a, b in zip(self, other, strict=True)
        )

    def plain(self) -> list[dict[str, Any]]:
        """For ``result.json``."""
        return [r.plain() for r in self]
