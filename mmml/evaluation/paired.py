"""How much better one predictor is than another: paired differences on identical episodes.

Episodes differ much more from one another than predictors do. What is hard for one is mostly hard
for the other, and differences within an episode leave that out: their interval is the one that says
which is better, and is mostly narrower than the intervals of the two scores suggest.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from itertools import combinations, permutations, product
from typing import Any

import numpy as np

from mmml.episodes import Mapping
from mmml.evaluation.panel import Cell, Panel
from mmml.evaluation.statistics import class_interval, paired_interval

EpisodePredictions = dict[tuple[Any, ...], tuple[Cell, np.ndarray, np.ndarray | None]]
"""The cells of one predictor, each with the score of every episode and its classes, by :func:`_place`."""


@dataclass(frozen=True)
class Difference:
    """The score of one predictor less that of another, in one cell of the panel.

    Attributes:
        a, b: the predictors.
        support, query: the mapping.
        step: of a problem's loss, how many steps were taken; None for episodes.
        episodes: that both played.
        percent: whether the metric is shown times 100.
        higher_is_better: whether ``a`` is the better one where ``mean`` is above 0.
        mean: of score(a) − score(b) over episodes.
        ci95: half the width of its 95 % interval, see :func:`mmml.evaluation.statistics.paired_interval`.
        ci95_classes: the same, if the classes are taken for a sample too; None where that is not known.
    """

    split: str
    task: str
    a: str
    b: str
    support: list[str]
    query: list[str]
    ways: int
    shots: int
    step: int | None
    episodes: int
    metric: str
    percent: bool
    higher_is_better: bool
    mean: float
    ci95: float
    ci95_classes: float | None = None

    @property
    def clear(self) -> bool:
        """Whether the interval excludes 0."""
        return abs(self.mean) > self.ci95

    def plain(self) -> dict[str, Any]:
        """For ``result.json``."""
        return asdict(self) | {"clear": self.clear}


OF_THE_CELL = [f.name for f in fields(Difference) if f.name not in ("a", "b", "mean", "ci95", "ci95_classes")]


def from_baselines(panel: Panel) -> list[Difference]:
    """Each learned predictor less every baseline of its table."""
    names = {c.predictor: c.baseline for c in panel.cells}
    learned, baselines = [n for n in names if not names[n]], [n for n in names if names[n]]
    return differences(panel, product(learned, baselines))


def from_parts(panel: Panel) -> list[Difference]:
    """Each mapping that fuses modalities less every one that shows fewer of them: what each modality adds.

    Of learned predictors alone; ``b`` names the other mapping too.
    """
    found = []
    for name in dict.fromkeys(c.predictor for c in panel.cells if not c.baseline):
        own = panel.of(name)
        for full, part in permutations(dict.fromkeys(Mapping(tuple(c.support), tuple(c.query)) for c in own.cells), 2):
            if set(part.support) <= set(full.support) and set(part.query) <= set(full.query):
                found += _less(own, full, part)
    return found


def _less(panel: Panel, full: Mapping, part: Mapping) -> list[Difference]:
    """One mapping of a predictor less another."""
    both, name = Panel(), f"{panel.cells[0].predictor}, {part}"
    for cell, scores, classes in zip(panel.cells, panel.scores, panel.classes, strict=True):
        if cell.mapping == str(part):
            as_full = replace(cell, support=list(full.support), query=list(full.query), predictor=name)
            both.add(as_full, scores, classes)
        elif cell.mapping == str(full):
            both.add(cell, scores, classes)
    return differences(both, [(panel.cells[0].predictor, name)])


def between(panel: Panel, predictors: Sequence[str]) -> list[Difference]:
    """Every pair of these predictors, the earlier less the later."""
    return differences(panel, combinations(predictors, 2))


def differences(panel: Panel, pairs: Iterable[tuple[str, str]]) -> list[Difference]:
    """The paired differences of some pairs of predictors, in the cells that both have.

    Left out is what has no score of single episodes (chance, calibration), rankings, whose galleries show
    the same classes and are not independent, and losses that are not finite.
    """
    played: dict[str, EpisodePredictions] = {}
    for cell, scores, classes in zip(panel.cells, panel.scores, panel.classes, strict=True):
        if cell.candidates is None and cell.subset is None and len(scores) > 1 and np.isfinite(scores).all():
            played.setdefault(cell.predictor, {})[_place(cell)] = cell, scores, classes
    return [found for a, b in pairs for found in _pair(a, b, played.get(a, {}), played.get(b, {}))]


def _place(cell: Cell) -> tuple[Any, ...]:
    """What two cells share that were played on the same episodes and are scored alike."""
    return cell.split, cell.task, cell.mapping, cell.ways, cell.shots, cell.step, cell.metric


def _pair(a: str, b: str, of_a: EpisodePredictions, of_b: EpisodePredictions) -> Iterator[Difference]:
    for key, (cell, scores, classes) in of_a.items():
        others = of_b[key][1] if key in of_b else np.empty(0)
        if len(others) == len(scores):
            mean, ci95 = paired_interval(scores, others, cell.answers)
            about = {k: getattr(cell, k) for k in OF_THE_CELL}
            wide = None if classes is None else class_interval(scores - others, classes, ci95)
            yield Difference(a=a, b=b, mean=mean, ci95=ci95, ci95_classes=wide, **about)
