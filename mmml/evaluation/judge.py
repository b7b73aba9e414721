"""The whole judgement of a learner: on validation while it trains, on test once at the end."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mmml.config.schema import EvaluationConfig
from mmml.datasets import Per, Samples
from mmml.episodes import Mapping as EpisodeMapping
from mmml.episodes import Sampler
from mmml.evaluation.baselines import baselines
from mmml.evaluation.embed import embed_all
from mmml.evaluation.exhibits import make_exhibits
from mmml.evaluation.guards import check_independence
from mmml.evaluation.panel import Panel, Setting, chance_panel, episode_panel
from mmml.evaluation.retrieval import retrieval_panel, retrieval_setting
from mmml.methods import Learner
from mmml.tasks import Task


@dataclass
class Judge:
    """Judges learners on the splits of one dataset.

    Attributes:
        samples: by split.
        modalities: of the dataset.
        settings: the columns of the panel.
        options: the section ``evaluation``.
    """

    samples: Mapping[str, Samples]
    modalities: Mapping[str, Per]
    settings: list[Setting]
    options: EvaluationConfig

    def __post_init__(self) -> None:
        for name in self.options.baselines:  # a mistyped name is found before training
            baselines.get(name, "evaluation.baselines")

    @property
    def task(self) -> Task:
        """The task of all settings."""
        return self.settings[0].task

    @property
    def higher_is_better(self) -> bool:
        """Of the validation scores."""
        return self.task.metrics[0].higher_is_better

    def validate(self, learner: Learner) -> dict[str, float]:
        """The headline metric of every cell of the validation panel by name, and their mean."""
        embedded = embed_all(learner, self.samples["val"], self._modalities_of(learner))
        panel = episode_panel(learner, embedded, self._sampler("val"), self.settings, self.options.validation_episodes)
        headline = [c for c in panel.cells if c.metric == self.task.metrics[0].name]
        means = [c.mean for c in headline]
        return dict(zip(self.monitors, [sum(means) / len(means), *means], strict=True))

    @property
    def monitors(self) -> list[str]:
        """The names of the validation scores, their mean first."""
        cells = [(m, s.shape) for s in self.settings for m in s.mappings]
        return ["val/mean", *(f"val/{m}/{shape.ways}-way {shape.shots}-shot" for m, shape in cells)]

    def test(self, learner: Learner) -> Panel:
        """The panel of the test split, with its baselines.

        Raises:
            GuardError: with ``evaluation.guard=true``, if the learner cannot be trusted.
        """
        samples, panel = self.samples["test"], Panel()
        sampler, retrieval = self._sampler("test"), self._retrieval()
        embedded = embed_all(learner, samples, self._modalities_of(learner))
        if self.options.guard:
            shape, mappings = self.settings[0].shape, every_mapping(self.settings)
            check_independence(learner, samples, embedded, sampler, shape, mappings)
        panel.extend(self._panel(learner, embedded, sampler, retrieval))
        for name in self.options.baselines:
            baseline = baselines.get(name, "evaluation.baselines")(self.modalities, self.task)
            inputs = embed_all(baseline, samples, self._modalities_of(baseline))
            panel.extend(self._panel(baseline, inputs, sampler, retrieval))
        panel.extend(chance_panel("test", [*self.settings, retrieval]))
        return panel

    def exhibits(self, learner: Learner) -> dict[str, Any]:
        """What the report shows of the test split besides numbers."""
        samples = self.samples["test"]
        embedded = embed_all(learner, samples, self._modalities_of(learner))
        return make_exhibits(learner, samples, embedded, self._sampler("test"), self.settings, self._retrieval())

    def _sampler(self, split: str) -> Sampler:
        return Sampler(self.samples[split], self.options.seed, split)

    def _retrieval(self) -> Setting:
        return retrieval_setting(self.samples["test"], every_mapping(self.settings) if self.options.retrieval else [])

    def _panel(self, learner: Learner, embedded: Samples, sampler: Sampler, retrieval: Setting) -> Panel:
        panel = episode_panel(learner, embedded, sampler, self.settings, self.options.episodes)
        panel.extend(retrieval_panel(learner, embedded, "test", retrieval))
        return panel

    def _modalities_of(self, learner: Learner) -> set[str]:
        return {m for s in self.settings for mapping in s.known_to(learner) for m in mapping.modalities}


def every_mapping(settings: Iterable[Setting]) -> list[EpisodeMapping]:
    """The mappings of some settings, each once, in order."""
    return list(dict.fromkeys(m for s in settings for m in s.mappings))
