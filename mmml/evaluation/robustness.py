"""How a score falls as modalities go missing, or grow noisy, in the test episodes."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from mmml.config.schema import RobustnessConfig
from mmml.data.base import Samples, base_modality
from mmml.episodes import Mapping
from mmml.episodes.corruptions import Corruption, corruptions
from mmml.errors import UserError
from mmml.evaluation.judge import Judge, eval_mode
from mmml.evaluation.panel import Panel, episode_panel
from mmml.evaluation.statistics import finite, interval
from mmml.methods import Learner
from mmml.tasks import Metric

OF_CELL = ("predictor", "mapping", "ways", "shots", "metric", "percent", "episodes", "mean", "ci95")
ALL = "all"  # in place of a corruption and a modality: the mean over them


@dataclass(frozen=True)
class CorruptionScore:
    """A score under one corruption.

    Attributes:
        predictor, mapping, ways, shots, metric, percent, episodes: of the cell of the panel.
        corruption, modality: that is applied; ``all``: the mean over them.
        amount: of it; None for the area under the curve, the mean score over all amounts (by the trapezoid rule).
        mean, ci95: of the score, over episodes.
    """

    predictor: str
    mapping: str
    ways: int
    shots: int
    metric: str
    percent: bool
    episodes: int
    corruption: str
    modality: str
    amount: float | None
    mean: float = 0.0
    ci95: float | None = None


@dataclass
class Robustness:
    """Points, and the score of every episode behind them, ``[episodes]`` each."""

    points: list[CorruptionScore] = field(default_factory=list)
    scores: list[np.ndarray] = field(default_factory=list)

    def add(self, point: CorruptionScore, scores: np.ndarray) -> None:
        """Append a point, and the scores that it is the mean of."""
        self.points.append(point)
        self.scores.append(scores)

    def add_area(self, point: CorruptionScore, scores: np.ndarray) -> None:
        """Append the mean of such areas."""
        mean, ci95 = interval(scores)
        self.add(replace(point, mean=mean, ci95=ci95), scores)

    def plain(self) -> list[dict[str, Any]]:
        """For ``result.json``."""
        return [asdict(p) | {"mean": finite(p.mean), "ci95": finite(p.ci95)} for p in self.points]


@eval_mode
def robustness(judge: Judge, learner: Learner, options: RobustnessConfig) -> Robustness:
    """The learner's scores under each corruption of each modality, in test episodes, and the areas under the curves.

    Or in validation episodes, where a choice is to be made by them. A corruption comes after those that the config asks
    for anyway.
    """
    found, embedded = Robustness(), judge.embed(learner, options.split)
    fewer = replace(judge.options, episodes=min(options.episodes, judge.options.episodes))
    judge = replace(judge, options=fewer)
    untouched = _panel(judge, learner, embedded, options.split) if 0 in options.amounts else Panel()
    for name, modality in applicable(
        options.corruptions, [m for m in embedded.columns if m not in judge.task.target_columns]
    ):
        for amount in options.amounts:
            made = corruptions.build(name, {"modality": modality, "amount": amount, "side": options.side}, "robustness")
            panel = _panel(judge, learner, embedded, options.split, made) if amount else untouched
            _add_points(found, panel, judge.metric, corruption=name, modality=modality, amount=amount)
    _add_areas(found)
    return found


def check_robustness(options: RobustnessConfig, mappings: Iterable[Mapping], embeds_once: bool) -> None:
    """Refuse corruptions that cannot be played, before anything is, if any are asked for.

    Args:
        options: of ``evaluation.robustness``.
        mappings: that are judged.
        embeds_once: see :class:`mmml.methods.Learner`.
    """
    if not options.run:
        return
    option = f"evaluation.robustness.corruptions=[{','.join(options.corruptions)}]"
    modalities = sorted({m for mapping in mappings for m in mapping.modalities})
    kinds = {name: corruptions.get(name, option) for name in (*options.corruptions, *corruptions.names())}
    plain = [name for name in kinds if set(corruptions.options_of(name, option)) == {"modality", "amount", "side"}]
    for name in options.corruptions:
        if name not in plain:
            raise UserError(f"{option}: {name} needs options of its own; ask for it by episode.eval.corruptions")
        if not embeds_once and getattr(kinds[name], "removes_values", False):
            raise UserError(f"{option}: with method.adapt=all encoders cannot adapt to what is {name}; leave it out")
    if not applicable(options.corruptions, modalities):
        fit = [name for name in plain if applicable([name], modalities)]
        raise UserError(f"{option}: none can spoil {', '.join(modalities)}; choose of {', '.join(fit)}")


def applicable(names: Iterable[str], modalities: Iterable[str]) -> list[tuple[str, str]]:
    """Corruptions by name, each with every modality that it can spoil."""
    kinds = {name: getattr(corruptions.get(name, "evaluation.robustness.corruptions"), "kinds", ()) for name in names}
    return [(name, m) for m in modalities for name in kinds if base_modality(m) in kinds[name]]


def _panel(
    judge: Judge, learner: Learner, embedded: Samples, split: str, corruption: Corruption | None = None
) -> Panel:
    """The learner's panel under one corruption, or none."""
    spoilers = [*judge.corruptions, *([corruption] if corruption else [])]
    if corruption and corruption.spoils_values:
        modality = corruption.modality
        embedded = replace(embedded, columns={**embedded.columns, modality: judge.samples[split].columns[modality]})
    sampler = replace(judge, corruptions=spoilers).sampler(split)
    return episode_panel(learner, embedded, sampler, judge.settings, judge.options.episodes)


def _add_points(found: Robustness, panel: Panel, metric: Metric, **corruption: Any) -> None:
    """Add the scores of a panel by one metric."""
    for cell, scores in zip(panel.cells, panel.scores, strict=True):
        if cell.metric == metric.name:
            found.add(CorruptionScore(**{f: getattr(cell, f) for f in OF_CELL}, **corruption), scores)


def _add_areas(found: Robustness) -> None:
    """The area under each curve, and the mean of the areas of a cell."""
    curves: dict[CorruptionScore, dict[float, np.ndarray]] = {}
    for point, scores in zip(found.points, found.scores, strict=True):
        assert point.amount is not None
        curve = replace(point, amount=None, mean=0.0, ci95=None)
        curves.setdefault(curve, {})[point.amount] = scores
    areas: dict[CorruptionScore, list[np.ndarray]] = {}
    for curve, by_amount in curves.items():
        amounts = sorted(by_amount)
        area = area_under(amounts, np.stack([by_amount[a] for a in amounts]))
        found.add_area(curve, area)
        areas.setdefault(replace(curve, corruption=ALL, modality=ALL), []).append(area)
    for point, several in areas.items():
        found.add_area(point, np.mean(several, axis=0))


def side_by_side(several: Iterable[Robustness], names: Iterable[str]) -> Robustness:
    """Those of several learners, who are called so."""
    together = Robustness()
    for found, name in zip(several, names, strict=True):
        together.points += [replace(p, predictor=name) for p in found.points]
        together.scores += found.scores
    return together


def area_under(amounts: Sequence[float], scores: np.ndarray) -> np.ndarray:
    """The mean score from the first amount to the last, ``[amounts, episodes]`` → ``[episodes]``."""
    return np.trapezoid(scores, amounts, axis=0) / (amounts[-1] - amounts[0])
