"""The context of few-shot evaluation: the dataset, its fixed episodes, controls and baselines."""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mmml.config.schema import EvaluationConfig
from mmml.data.base import Granularity, Samples
from mmml.encoders import Embedder
from mmml.encoders.base import evaluating
from mmml.episodes import Mapping as EpisodeMapping
from mmml.episodes import Sampler
from mmml.episodes.corruptions import Corruption, corrupted_modalities
from mmml.episodes.setup import check_filled
from mmml.errors import UserError
from mmml.evaluation.baselines import baselines, frozen_classifiers
from mmml.evaluation.calibration import Calibration, calibrate
from mmml.evaluation.embed import materialize
from mmml.evaluation.evaluator import Context, Player
from mmml.evaluation.independence import check_independence
from mmml.evaluation.measured import fingerprint_of
from mmml.evaluation.predictions import episode_results
from mmml.evaluation.results import Results
from mmml.evaluation.setting import EvalSetting, every_mapping
from mmml.methods import Learner
from mmml.methods.controls import PermutedTargets, constants
from mmml.tasks import Metric, Task

LOSS = "val/loss"

log = logging.getLogger(__name__)


@dataclass
class EpisodeContext(Context):
    """The fixed episodes of one dataset.

    Attributes:
        modalities: of the dataset, with their granularity.
        settings: ways, shots and mappings to evaluate.
        options: the section ``evaluation`` of the config.
        samples: the samples of each split; empty before they are loaded.
        corruptions: applied in all episodes.
    """

    what: ClassVar[str] = "episodes"

    modalities: Mapping[str, Granularity]
    settings: list[EvalSetting]
    options: EvaluationConfig
    samples: dict[str, Samples]
    corruptions: Sequence[Corruption] = ()

    def __post_init__(self) -> None:
        for name in self.options.baselines:  # a mistyped name is found before training
            baselines.get(name, "evaluation.baselines")

    @property
    def task(self) -> Task:
        """The task, which is the same in all settings."""
        return self.settings[0].task

    @property
    def metric(self) -> Metric:
        return self.task.metrics[0]

    @property
    def mappings(self) -> list[EpisodeMapping]:
        """The mappings of all settings, each once."""
        return every_mapping(self.settings)

    def settings_of(self, evaluator: str) -> list[EvalSetting]:
        """Return the settings for another evaluator that plays the same episodes."""
        return [replace(setting, evaluator=evaluator) for setting in self.settings]

    @property
    def train(self) -> Samples | None:
        """The training split; None if it has no classes."""
        return self.usable("train")

    def usable(self, split: str) -> Samples | None:
        """Return a split; None if it has no classes."""
        part = self.samples.get(split)
        return part if part is not None and part.classes else None

    def sampler(self, split: str = "test", *more: Corruption) -> Sampler:
        """Return the sampler of a split, with the corruptions of the config and then those in
        ``more``.
        """
        return Sampler(
            self.samples[split], self.options.seed, split, corruptions=[*self.corruptions, *more]
        )

    def embed(self, learner: Learner, split: str = "test") -> Samples:
        """Return the samples of a split with the learner's embeddings of the modalities that its
        mappings need.

        Values stay raw where embeddings depend on the task or the episode.
        """
        shown = {
            m for s in self.settings for mapping in s.known_to(learner) for m in mapping.modalities
        }
        encoded = shown | self.task.target_columns
        corrupted = corrupted_modalities(self.corruptions)
        return materialize(learner, self.samples[split], encoded, self.options.tta_views, corrupted)

    def players(self, learner: Learner, calibration: Calibration | None) -> Iterator[Player]:
        """See :meth:`Context.players`.

        Raises:
            IndependenceError: with ``evaluation.independence_check=true``, if queries influence one
                another although the learner declares that they do not.
        """
        embedded = self.embed(learner)
        if self.options.independence_check:
            shape, views = self.settings[0].shape, self.options.tta_views
            check_independence(
                learner, self.samples["test"], embedded, self.sampler(), shape, self.mappings, views
            )
        yield Player(learner, embedded, calibration or Calibration())
        for control in (*self.controls(learner), *constants(learner)):
            yield Player(control, embedded)
        yield from self._frozen(learner, embedded, calibrated=calibration is not None)
        for name in self.options.baselines:
            for baseline in baselines.get(name, "evaluation.baselines")(self.modalities, self.task):
                yield Player(baseline, self.embed(baseline))

    def controls(self, learner: Learner) -> list[Learner]:
        """Return the controls of the learner; if a control has several learning rates, validation
        chooses among them.
        """
        with evaluating(learner):
            several = learner.controls(self.train) if self.options.controls else []
            # In other tasks, learner.controls has this control.
            if self.options.permuted_targets and not self.task.per_sample_target:
                several.append([PermutedTargets(learner)])
            choices = self.options.lr_search_episodes > 0 and any(len(c) > 1 for c in several)
            tuned = choices and self._fills("val")  # else skip controls with rates
            known = [c for c in several if len(c) == 1 or tuned]
            embedded = self.embed(learner, "val") if any(len(c) > 1 for c in known) else None
            return [
                control for candidates in known for control in self._chosen(candidates, embedded)
            ]

    def _fills(self, split: str) -> bool:
        """Return whether a split has enough samples for all shapes; a warning is logged if it has
        not.
        """
        if self.usable(split) is None:
            return False
        sampler = self.sampler(split)
        try:
            for setting in self.settings:
                check_filled(sampler, setting.shape, setting.mappings, "episode.eval")
        except UserError as error:
            log.warning(
                "no rates are chosen and no frozen classifiers calibrated on validation: %s", error
            )
            return False
        return True

    def _chosen(self, candidates: list[Learner], embedded: Samples | None) -> list[Learner]:
        """Return the best candidate on validation by the headline metric and, if it is another, the
        best one by the loss.
        """
        if len(candidates) == 1 or embedded is None:
            return candidates
        sampler, episodes = self.sampler("val"), self.options.lr_search_episodes
        tables = [
            episode_results(c, embedded, sampler, self.settings, episodes) for c in candidates
        ]
        scores, losses = (
            [objective(t, metric) for t in tables]
            for metric in (self.metric, self.task.loss_metric)
        )
        ranked = range(len(candidates))
        best = (
            max(ranked, key=lambda i: (scores[i], losses[i])),
            max(ranked, key=lambda i: losses[i]),
        )
        return [candidates[i] for i in dict.fromkeys(best)]

    def _frozen(self, learner: Learner, embedded: Samples, calibrated: bool) -> Iterator[Player]:
        """Yield classifiers without training on frozen features; they are calibrated if the learner
        is.
        """
        classifiers = list(frozen_classifiers(learner))
        calibrated = calibrated and bool(classifiers) and self._fills("val")
        # Embed the test and validation splits once for each embedder.
        known: dict[Embedder, tuple[Samples, Samples | None]] = {}
        for classifier in classifiers:
            if classifier.embedder not in known:
                test = (
                    embedded if classifier.embedder is learner.embedder else self.embed(classifier)
                )
                known[classifier.embedder] = (
                    test,
                    self.embed(classifier, "val") if calibrated else None,
                )
            test, validation = known[classifier.embedder]
            calibration = self.calibrate(classifier, validation) if calibrated else Calibration()
            yield Player(classifier, test, calibration)

    def monitors(self, learner: Learner) -> list[str]:
        """Return the names of the mean validation score, of each score, and of the mean loss if the
        learner minimises it.
        """
        pairs = [(m, s.shape) for s in self.settings for m in s.mappings]
        each = [f"val/{m}/{shape.ways}-way {shape.shots}-shot" for m, shape in pairs]
        return ["val/mean", *each, *([LOSS] if learner.has_inner_loop else [])]

    def validate(self, learner: Learner) -> dict[str, float]:
        """Return the validation scores by name: the mean of the headline metric, its value for each
        setting and mapping, and the mean loss if the learner minimises it.
        """
        with evaluating(learner):
            embedded, episodes = self.embed(learner, "val"), self.options.validation_episodes
            results = episode_results(
                learner, embedded, self.sampler("val"), self.settings, episodes
            )
        means, losses = (
            [r.mean for r in results.where(metric=m.name)]
            for m in (self.metric, self.task.loss_metric)
        )
        values = [sum(means) / len(means), *means] + ([sum(losses) / len(losses)] if losses else [])
        return dict(zip(self.monitors(learner), values, strict=True))

    def fingerprint(self) -> str:
        return fingerprint_of(self.sampler("val"), self.settings, self.options.validation_episodes)

    def metric_of(self, monitor: str) -> Metric:
        return self.task.loss_metric if monitor == LOSS else self.metric

    def calibrate(self, learner: Learner, embedded: Samples | None = None) -> Calibration:
        """Return the calibration of a finished learner on the validation split; empty if the split
        has no classes.

        Args:
            learner: a finished learner.
            embedded: the embedded samples of the validation split; None to embed them here.
        """
        if not self.samples["val"].classes:
            return Calibration()
        with evaluating(learner):
            embedded = self.embed(learner, "val") if embedded is None else embedded
            return calibrate(
                learner,
                embedded,
                self.sampler("val"),
                self.settings,
                self.options.validation_episodes,
            )

    def doubts(self, calibration: Calibration) -> list[str]:
        several = [s for s in self.settings if not s.task.per_sample_target]
        return calibration.notes(every_mapping(several)) if several else []


def objective(results: Results, metric: Metric) -> float:
    """Return the mean of a metric over all its rows, negated if less is better; −inf if it is not
    finite.
    """
    mean = float(np.mean([r.mean for r in results.where(metric=metric.name)]))
    return (mean if metric.higher_is_better else -mean) if math.isfinite(mean) else -math.inf
