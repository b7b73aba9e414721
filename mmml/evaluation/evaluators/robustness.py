"""``robustness``: the score as a function of the amount of corruption, such as missing or noisy
modalities.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from mmml.data.base import Samples, base_modality
from mmml.episodes.corruptions import Corruption, corruptions
from mmml.episodes.setup import check_filled
from mmml.errors import UserError, require
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.evaluator import Evaluator, Player, evaluators
from mmml.evaluation.predictions import episode_results
from mmml.evaluation.results import Result, ResultKey, Results
from mmml.evaluation.statistics import interval
from mmml.methods import Learner, Role

ALL = "all"  # in place of corruption and modality: the mean over all
OPTION = "evaluation.robustness"


@evaluators.register("robustness")
class Robustness(Evaluator):
    """The learner's score under each corruption of each modality, and the area under each curve.

    These corruptions are applied after those of the config.

    Args:
        corruptions: names of corruptions; each is applied to every modality that it fits.
        amounts: of each corruption, from 0 to 1.
        side: ``support``, ``query`` or ``both``.
        split: ``test``, or ``val`` to make a choice by the result.
        episodes: for each point of a curve; ``evaluation.episodes`` if that is fewer.
    """

    name = "robustness"
    plays = EpisodeContext

    def __init__(
        self, corruptions: list[str], amounts: list[float], side: str, split: str, episodes: int
    ):
        require(episodes > 0, f"{OPTION}.episodes", episodes, "a positive whole number")
        ok = len(set(amounts)) > 1 and all(0 <= a <= 1 for a in amounts)
        require(ok, f"{OPTION}.amounts", amounts, "a list of several numbers from 0 to 1")
        require(
            side in ("support", "query", "both"), f"{OPTION}.side", side, "support, query or both"
        )
        require(split in ("val", "test"), f"{OPTION}.split", split, "val or test")
        self.corruptions = corruptions
        self.amounts = amounts
        self.side = side
        self.split = split
        self.episodes = episodes

    def check(self, learner: Learner, context: EpisodeContext) -> None:
        option = f"{OPTION}.corruptions=[{','.join(self.corruptions)}]"
        if context.options.tta_views > 1:
            raise UserError(
                f"evaluation.tta_views={context.options.tta_views} must be 1 where robustness is "
                "measured: what is corrupted has one view"
            )
        modalities = sorted({m for mapping in context.mappings for m in mapping.modalities})
        kinds = {
            name: corruptions.get(name, option)
            for name in (*self.corruptions, *corruptions.names())
        }
        plain = [
            name
            for name in kinds
            if set(corruptions.options_of(name, option)) == {"modality", "amount", "side"}
        ]
        for name in self.corruptions:
            if name not in plain:
                raise UserError(
                    f"{option}: {name} needs options of its own; ask for it by "
                    "episode.eval.corruptions"
                )
            if not learner.embeds_once and getattr(kinds[name], "removes_values", False):
                raise UserError(
                    f"{option}: with method.adapt=all encoders cannot adapt to what is {name}; "
                    "leave it out"
                )
        if not applicable(self.corruptions, modalities):
            fit = [name for name in plain if applicable([name], modalities)]
            raise UserError(
                f"{option}: none can corrupt {', '.join(modalities)}; choose of {', '.join(fit)}"
            )

    def check_samples(self, context: EpisodeContext) -> None:
        sampler = context.sampler(self.split)
        for setting in context.settings:
            check_filled(sampler, setting.shape, setting.mappings, "episode.eval")

    def run(self, player: Player, context: EpisodeContext) -> Results:
        if player.learner.role is not Role.LEARNED:
            return Results()
        learner, embedded = player.learner, context.embed(player.learner, self.split)
        untouched = (
            self._under(context, learner, embedded, None) if 0 in self.amounts else Results()
        )
        shown = [m for m in embedded.columns if m not in context.task.target_columns]
        points = Results()
        for name, modality in applicable(self.corruptions, shown):
            for amount in self.amounts:
                made = corruptions.build(
                    name, {"modality": modality, "amount": amount, "side": self.side}, OPTION
                )
                found = self._under(context, learner, embedded, made) if amount else untouched
                points.extend(found.keyed(corruption=name, modality=modality, amount=amount))
        return Results([*points, *areas(points)])

    def _under(
        self,
        context: EpisodeContext,
        learner: Learner,
        embedded: Samples,
        corruption: Corruption | None,
    ) -> Results:
        """Return the learner's headline scores under one corruption, or none."""
        if corruption and corruption.corrupts_values:
            raw = context.samples[self.split].columns[corruption.modality]
            embedded = replace(embedded, columns={**embedded.columns, corruption.modality: raw})
        sampler = context.sampler(self.split, *([corruption] if corruption else []))
        episodes = min(self.episodes, context.options.episodes)
        found = episode_results(learner, embedded, sampler, context.settings, episodes)
        return found.where(metric=context.metric.name).keyed(evaluator=self.name)


def applicable(names: Iterable[str], modalities: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of a corruption's name and a modality that it can corrupt."""
    kinds = {
        name: getattr(corruptions.get(name, f"{OPTION}.corruptions"), "kinds", ()) for name in names
    }
    return [(name, m) for m in modalities for name in kinds if base_modality(m) in kinds[name]]


def areas(points: Results) -> list[Result]:
    """Return the rows of the area under each curve (the mean score over all amounts, by the
    trapezoid rule), and of the mean of the areas.
    """
    curves: dict[ResultKey, list[Result]] = {}
    for point in points:
        curves.setdefault(replace(point.key, amount=None), []).append(point)
    found: list[Result] = []
    of_key: dict[ResultKey, tuple[Result, list[np.ndarray]]] = {}
    for key, unsorted in curves.items():
        several = sorted(unsorted, key=lambda p: p.key.amount or 0.0)
        area = area_under(
            [p.key.amount or 0.0 for p in several], np.stack([p.scores for p in several])
        )
        found.append(area_result(several[0], key, area))
        together = replace(key, corruption=ALL, modality=ALL)
        of_key.setdefault(together, (several[0], []))[1].append(area)
    return found + [
        area_result(first, key, np.mean(each, axis=0)) for key, (first, each) in of_key.items()
    ]


def area_result(point: Result, key: ResultKey, scores: np.ndarray) -> Result:
    """Return the row of the mean of some areas, ``[episodes]``; other fields are copied from a
    point of a curve.
    """
    mean, ci95 = interval(scores)
    return replace(
        point, key=key, mean=mean, ci95=ci95, ci95_classes=None, answers=None, scores=scores
    )


def area_under(amounts: Sequence[float], scores: np.ndarray) -> np.ndarray:
    """Return the mean score between the first and the last amount: ``[amounts, episodes]`` →
    ``[episodes]``.
    """
    return np.trapezoid(scores, amounts, axis=0) / (amounts[-1] - amounts[0])
