"""The whole judgement of a learner: on validation while it trains, on test once at the end."""

import functools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmml.config.schema import EvaluationConfig
from mmml.data.base import Granularity, Samples
from mmml.encoders import Embedder
from mmml.encoders.base import evaluating
from mmml.episodes import Sampler
from mmml.episodes.corruptions import Corruption, corruptions, spoiled_values
from mmml.episodes.setup import check_filled
from mmml.errors import UserError
from mmml.evaluation.baselines import baselines, frozen_classifiers
from mmml.evaluation.calibration import Calibration, calibrate
from mmml.evaluation.controls import choose, descents
from mmml.evaluation.embed import materialize
from mmml.evaluation.examples.answers import answer_examples
from mmml.evaluation.examples.classes import class_examples
from mmml.evaluation.examples.videos import video_examples
from mmml.evaluation.independence import check_independence
from mmml.evaluation.matching import EmbeddedLearners, matching_panel
from mmml.evaluation.measured import fingerprint_of
from mmml.evaluation.new_words import NewWords
from mmml.evaluation.panel import Panel, Setting, chance_panel, episode_panel, every_mapping
from mmml.evaluation.reliability import Reliability
from mmml.evaluation.retrieval import retrieval_panel, retrieval_setting
from mmml.evaluation.summaries import floor_panel, summary_panel
from mmml.methods import Learner, Role
from mmml.methods.controls import PermutedTargets, constants
from mmml.tasks import Metric, Task

LOSS = "val/loss"

log = logging.getLogger(__name__)


def eval_mode(judged: Callable[..., Any]) -> Callable[..., Any]:
    """Judge a learner in evaluation mode: where encoders adapt, their samples are seen while they are judged."""

    @functools.wraps(judged)
    def wrapped(self: "Judge", learner: Learner, *args: Any, **kwargs: Any) -> Any:
        with evaluating(learner):
            return judged(self, learner, *args, **kwargs)

    return wrapped


@dataclass
class Judge:
    """Judges learners on the splits of one dataset.

    Attributes:
        samples: by split.
        modalities: of the dataset.
        settings: the columns of the panel.
        options: the section ``evaluation``.
        matchings: what is matched by pairs besides.
        corrupt: what spoils the episodes.
        summaries: of videos, besides.
    """

    samples: Mapping[str, Samples]
    modalities: Mapping[str, Granularity]
    settings: list[Setting]
    options: EvaluationConfig
    matchings: Sequence[Setting] = ()
    corruptions: Sequence[Corruption] = ()
    summaries: Sequence[Setting] = ()

    def __post_init__(self) -> None:
        for name in self.options.baselines:  # a mistyped name is found before training
            baselines.get(name, "evaluation.baselines")
        for name in self.options.robustness.corruptions:
            corruptions.get(name, "evaluation.robustness.corruptions")

    @property
    def task(self) -> Task:
        """The task of all settings."""
        return self.settings[0].task

    @property
    def metric(self) -> Metric:
        """Of the validation scores."""
        return self.task.metrics[0]

    @eval_mode
    def judge(self, learner: Learner, calibration: Calibration | None) -> tuple[Panel, dict[str, Any]]:
        """The panel of the test split and its examples, see :meth:`test` and :meth:`examples`."""
        embedded, controls = self.embed(learner), self.controls(learner)
        return self.test(learner, calibration, embedded, controls), self.examples(learner, embedded, controls)

    @eval_mode
    def controls(self, learner: Learner) -> list[Learner]:
        """What the learner must beat from its own parameters; of several rates, validation chooses."""
        several = learner.controls(self._usable("train")) if self.options.controls else []
        if self.options.permuted_targets and not self.task.per_sample_target:  # else controls have it
            several.append([PermutedTargets(learner)])
        choices = self.options.lr_search_episodes > 0 and any(len(c) > 1 for c in several)
        tuned = choices and self._fills("val")  # else none that has rates
        known = [c for c in several if len(c) == 1 or tuned]
        embedded = self.embed(learner, "val") if any(len(c) > 1 for c in known) else None
        return [control for candidates in known for control in self._chosen(candidates, embedded)]

    def _usable(self, split: str) -> Samples | None:
        part = self.samples.get(split)
        return part if part is not None and part.classes else None

    def _fills(self, split: str) -> bool:
        """Whether a split has the samples for the shapes that are judged: another split than test may lack them."""
        if self._usable(split) is None:
            return False
        sampler = self.sampler(split)
        try:
            for setting in self.settings:
                check_filled(sampler, setting.shape, setting.mappings, "episode.eval")
        except UserError as error:
            log.warning("no rates are chosen and no frozen rules calibrated on validation: %s", error)
            return False
        return True

    def _chosen(self, candidates: list[Learner], embedded: Samples | None) -> list[Learner]:
        if len(candidates) == 1 or embedded is None:
            return candidates
        return choose(candidates, embedded, self.sampler("val"), self.settings, self.options.lr_search_episodes)

    @eval_mode
    def validate(self, learner: Learner) -> dict[str, float]:
        """The headline metric of every cell of the validation panel by name, its mean, and the mean loss if any."""
        embedded = self.embed(learner, "val")
        panel = episode_panel(learner, embedded, self.sampler("val"), self.settings, self.options.validation_episodes)
        means, losses = (
            [c.mean for c in panel.cells if c.metric == m.name] for m in (self.metric, self.task.loss_metric)
        )
        values = [sum(means) / len(means), *means] + ([sum(losses) / len(losses)] if losses else [])
        return dict(zip(self.monitors(learner), values, strict=True))

    def monitors(self, learner: Learner) -> list[str]:
        """The names of the validation scores: their mean, each, and the mean loss of a learner that descends it."""
        cells = [(m, s.shape) for s in self.settings for m in s.mappings]
        each = [f"val/{m}/{shape.ways}-way {shape.shots}-shot" for m, shape in cells]
        return ["val/mean", *each, *([LOSS] if learner.has_inner_loop else [])]

    def fingerprint(self) -> str:
        """A hash of what validation plays."""
        return fingerprint_of(self.sampler("val"), self.settings, self.options.validation_episodes)

    def metric_of(self, monitor: str) -> Metric:
        """What a validation score measures."""
        return self.task.loss_metric if monitor == LOSS else self.metric

    def embed(self, learner: Learner, split: str = "test") -> Samples:
        """The samples of a split with the learner's embeddings, of the modalities that its mappings need.

        Raw values instead, where embeddings depend on the task or the episode.
        """
        encoded, spoiled = self._modalities_of(learner), spoiled_values(self.corruptions)
        return materialize(learner, self.samples[split], encoded, self.options.tta_views, spoiled)

    @eval_mode
    def calibrate(self, learner: Learner, embedded: Samples | None = None) -> Calibration:
        """What the validation split tells of a finished learner's confidence.

        Args:
            learner: not trained any further.
            embedded: of that split, if it has been embedded.
        """
        if not self.samples["val"].classes:
            return Calibration()
        embedded = self.embed(learner, "val") if embedded is None else embedded
        return calibrate(learner, embedded, self.sampler("val"), self.settings, self.options.validation_episodes)

    def doubts(self, calibration: Calibration) -> list[str]:
        """Where calibrated confidence cannot be trusted, in one sentence each."""
        several = [s for s in self.settings if s.task.gives_probabilities]
        return calibration.notes(every_mapping(several)) if several else []

    @eval_mode
    def test(
        self,
        learner: Learner,
        calibration: Calibration | None = None,
        embedded: Samples | None = None,
        controls: Iterable[Learner] = (),
    ) -> Panel:
        """The panel of the test split, with its baselines.

        Args:
            learner: not trained any further.
            calibration: of the learner; without one its confidence is judged as it is.
            embedded: of the test split, if it has been embedded.
            controls: that adapt the same model otherwise.

        Raises:
            IndependenceError: with ``evaluation.independence_check=true``, if the learner cannot be trusted.
        """
        embedded = self.embed(learner) if embedded is None else embedded
        if self.options.independence_check:
            shape, mappings, sampler = self.settings[0].shape, every_mapping(self.settings), self.sampler("test")
            check_independence(
                learner, self.samples["test"], embedded, sampler, shape, mappings, self.options.tta_views
            )
        panel = self._panel(learner, embedded, calibration or Calibration())
        panel.extend(self._matching([(learner, embedded)]))
        for control in (*controls, *constants(learner)):
            panel.extend(self._panel(control, embedded, None))
        panel.extend(self._frozen_panel(learner, embedded, calibrated=calibration is not None))
        for name in self.options.baselines:
            known = []
            for baseline in baselines.get(name, "evaluation.baselines")(self.modalities, self.task):
                values = self.embed(baseline)
                panel.extend(self._panel(baseline, values, None))
                if self.matchings:  # else one modality's raw values are held at a time
                    known.append((baseline, values))
            panel.extend(self._matching(known))
        columns = [*self.settings, *self.matchings, self._retrieval()]
        panel.extend(chance_panel(self.sampler("test"), columns, self.options.episodes))
        panel.extend(floor_panel(self.samples["test"], self._usable("train"), self.summaries, self.options.seed))
        return panel

    @eval_mode
    def examples(
        self, learner: Learner, embedded: Samples | None = None, controls: Iterable[Learner] = ()
    ) -> dict[str, Any]:
        """What the report shows of the test split besides numbers; arguments as of :meth:`test`."""
        samples, sampler = self.samples["test"], self.sampler("test")
        embedded = self.embed(learner) if embedded is None else embedded
        shown = class_examples(learner, samples, embedded, sampler, self.settings, self._retrieval())
        last = self.settings[-1]  # of the most shots
        return shown | {
            "curves": descents([learner, *controls], embedded, sampler, self.settings[0]),
            "answers": answer_examples([learner, *controls, *constants(learner)], samples, embedded, sampler, last),
            "summaries": video_examples(learner, samples, embedded, self.summaries, self.options.seed),
        }

    def sampler(self, split: str) -> Sampler:
        """Of the episodes of a split."""
        return Sampler(self.samples[split], self.options.seed, split, corruptions=self.corruptions)

    def _retrieval(self) -> Setting:
        ranks = self.options.retrieval and not self.task.per_sample_target
        return retrieval_setting(self.samples["test"], every_mapping(self.settings) if ranks else [])

    def _frozen_panel(self, learner: Learner, embedded: Samples, calibrated: bool) -> Panel:
        """Rules without training on frozen features, each calibrated as the learner is; empty if there are none."""
        panel, rules = Panel(), list(frozen_classifiers(learner))
        calibrated = calibrated and bool(rules) and self._fills("val")
        known: dict[Embedder, tuple[Samples, Samples | None]] = {}  # test and validation, each embedded once
        for rule in rules:
            if rule.embedder not in known:
                test = embedded if rule.embedder is learner.embedder else self.embed(rule)
                known[rule.embedder] = test, self.embed(rule, "val") if calibrated else None
            test, validation = known[rule.embedder]
            calibration = self.calibrate(rule, validation) if calibrated else Calibration()
            panel.extend(self._panel(rule, test, calibration))
        return panel

    def _panel(self, learner: Learner, embedded: Samples, calibration: Calibration | None) -> Panel:
        """Every cell of a learner; those of its calibration only with one, which may be empty."""
        new = NewWords(self._usable("train"), self.samples["test"]) if learner.role is Role.LEARNED else None
        kept = None if calibration is None else Reliability(calibration)
        besides = [b for b in (kept, new) if b is not None]
        watch = [b.watch for b in besides]
        panel = episode_panel(learner, embedded, self.sampler("test"), self.settings, self.options.episodes, watch)
        for part in besides:
            panel.extend(part.panel(learner, "test"))
        panel.extend(retrieval_panel(learner, embedded, "test", self._retrieval(), new))
        panel.extend(summary_panel(learner, embedded, self.summaries, self.options.seed))
        return panel

    def _matching(self, known: EmbeddedLearners) -> Panel:
        return matching_panel(known, self.sampler("test"), self.matchings, self.options.episodes)

    def _modalities_of(self, learner: Learner) -> set[str]:
        shown = {m for s in self.settings for mapping in s.known_to(learner) for m in mapping.modalities}
        return shown | self.task.target_columns
