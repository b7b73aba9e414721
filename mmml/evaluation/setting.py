"""Evaluation settings: a task, an episode shape and mappings, which make one column of the
table.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmml.config.schema import EvalEpisodes
from mmml.data.base import Granularity
from mmml.episodes import EpisodeShape
from mmml.episodes import Mapping as EpisodeMapping
from mmml.episodes.setup import eval_shapes
from mmml.evaluation.results import Result, ResultKey
from mmml.evaluation.statistics import class_interval, interval
from mmml.methods import Learner, Role
from mmml.tasks import Metric, Task


@dataclass(frozen=True)
class EvalSetting:
    """The task, shape and mappings of the episodes that an evaluator plays.

    Attributes:
        evaluator: name of the evaluator.
        task: of the episodes.
        shape: of the episodes.
        mappings: of the episodes.
    """

    evaluator: str
    task: Task
    shape: EpisodeShape
    mappings: tuple[EpisodeMapping, ...]

    def known_to(self, learner: Learner) -> list[EpisodeMapping]:
        """Return the mappings that a learner has encoders for; empty if it cannot play the
        shape.
        """
        if not learner.can_play(self.shape):
            return []
        return [m for m in self.mappings if m.modalities <= set(learner.embedder.encoders)]

    def result(
        self,
        split: str,
        mapping: EpisodeMapping,
        metric: Metric,
        learner: Learner | None,
        **values: Any,
    ) -> Result:
        """Return a row of the table; without a learner, a row of chance.

        Args:
            split: of the episodes.
            mapping: of the episodes.
            metric: of the score.
            learner: the learner that was measured, or None.
            values: other fields of :class:`Result` or of its key.
        """
        in_key = {k: values.pop(k) for k in list(values) if k in ResultKey.__dataclass_fields__}
        key: dict[str, Any] = {
            "evaluator": self.evaluator,
            "split": split,
            "task": self.task.name,
            "predictor": learner.predictor_name if learner else "chance",
            "support": mapping.support,
            "query": mapping.query,
            "metric": metric.name,
            "ways": self.shape.ways,
            "shots": self.shape.shots,
            "target": self.task.target,
        }
        about: dict[str, Any] = {
            "unit": "episodes",
            "role": learner.role if learner else Role.CHANCE,
            "transductive": learner.transductive if learner else False,
            "percent": metric.percent,
            "higher_is_better": metric.higher_is_better,
        }
        return Result(ResultKey(**key | in_key), **about | values)

    def mean_of(
        self,
        scores: np.ndarray,
        classes: np.ndarray | None,
        split: str,
        mapping: EpisodeMapping,
        metric: Metric,
        learner: Learner,
        **values: Any,
    ) -> Result:
        """Return the row with the mean of the scores ``[episodes]`` and its intervals.

        ``classes`` has the classes of the episodes, ``[episodes, ways]``; for other arguments see
        :meth:`result`.
        """
        values = {
            "answers": self.shape.ways * self.shape.queries if metric.share else None
        } | values
        mean, ci95 = interval(scores, values["answers"])
        wide = None if classes is None else class_interval(scores, classes, ci95)
        values |= {
            "mean": mean,
            "ci95": ci95,
            "ci95_classes": wide,
            "scores": scores,
            "classes": classes,
        }
        return self.result(split, mapping, metric, learner, n=len(scores), **values)


def episode_settings(
    options: EvalEpisodes, modalities: Mapping[str, Granularity], task: Task
) -> list[EvalSetting]:
    """Return the settings that a config asks for.

    A mapping whose support values belong to whole classes has one shot only, so it is only in the
    setting with the fewest shots.
    """
    mappings = [EpisodeMapping.parse(m) for m in options.mappings]
    settings = []
    for shape in eval_shapes(options):
        fit = tuple(
            m for m in mappings if shape.shots == options.shots[0] or not m.per_class(modalities)[0]
        )
        if fit:
            settings.append(EvalSetting("few_shot", task, shape, fit))
    return settings


def every_mapping(settings: Iterable[EvalSetting]) -> list[EpisodeMapping]:
    """Return the mappings of some settings, each once, in order."""
    return list(dict.fromkeys(m for s in settings for m in s.mappings))
