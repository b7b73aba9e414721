"""What a task supplies: what the answers are. It knows no method."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from mmml.config.schema import EpisodeConfig
from mmml.data.base import Dataset, Granularity, Samples
from mmml.episodes import Episodes, EpisodeShape, ExampleSet, Sampler
from mmml.episodes import Mapping as EpisodeMapping
from mmml.errors import UserError
from mmml.registry import Registry

tasks = Registry("task", "mmml.tasks")


@dataclass(frozen=True)
class Metric:
    """A score, and how to read it.

    Attributes:
        name: as in results.
        percent: shown times 100.
        higher_is_better: what validation selects by.
        median: of an episode's queries, rather than their mean.
        share: whether an episode's score is the share of its queries that are answered rightly.
    """

    name: str
    percent: bool = True
    higher_is_better: bool = True
    median: bool = False
    share: bool = False

    def of_episodes(self, scores: Tensor) -> Tensor:
        """The score of each episode from those of its queries: ``[B, q]`` → ``[B]`` in float64."""
        scores = scores.double()
        return scores.quantile(0.5, dim=-1) if self.median else scores.mean(-1)


class Task(ABC):
    """What the answers of an episode are, how support targets become predictions, and how
    predictions are scored.

    Attributes:
        target: the column that holds the answer of each sample, such as ``score`` or ``text``;
            None where the answer is the label of the sample's class. Predictions are then
            log-probabilities of labels, ``[B, q, ways]``.

    Class attributes:
        name: as in configs and results.
        metrics: the first is the headline, by which validation selects.
        loss_metric: what tables call the loss, where they show it.
        form: what answers look like: ``label``, ``scalar``, ``embedding`` or
            ``text``. Methods that compute answers have one way for each form, see
            :mod:`mmml.methods.learned_optimizer.heads`.
        constants: baselines that give the same answer to every query: by name, what of the targets
            of a support set ``[B, s, …]`` is weighted alike, ``[B, s, …]``.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    loss_metric: ClassVar[Metric]
    form: ClassVar[str] = "label"
    constants: ClassVar[Mapping[str, Callable[[Tensor], Tensor]]] = {}

    target: str | None = None

    @property
    def target_columns(self) -> set[str]:
        """The target, if it is a column."""
        return set() if self.target is None else {self.target}

    @property
    def embedded_columns(self) -> set[str]:
        """The target, if the learner embeds it as it embeds queries; predictions are
        then embeddings, too.
        """
        return set()

    @property
    def per_sample_target(self) -> bool:
        """Whether each sample has a target of its own, and not the label of its class."""
        return self.target is not None

    @property
    def min_ways(self) -> int:
        """Classes that an episode must have."""
        return 1 if self.per_sample_target else 2

    def check_dataset(self, dataset: Dataset) -> None:
        """Refuse a dataset without the answers, before it is loaded."""
        dataset.check()
        if not self.per_sample_target and not dataset.labelled:
            message = (
                f"classes of dataset={dataset.name} say only what its scores are about, "
                "and cannot be told apart"
            )
            raise UserError(f"task={self.name}: {message}: set task=regression episode=regression")

    def check(self, episodes: EpisodeConfig) -> None:
        """Refuse too few ways, and task augmentation where each sample has an answer of its own."""
        if self.per_sample_target and episodes.train.task_augmentation:
            share = episodes.train.task_augmentation
            raise UserError(
                f"episode.train.task_augmentation={share} changes images, and not "
                f"the {self.target} of each: use 0"
            )
        for side, ways, least, _ in ways_of(episodes):
            if least < self.min_ways:
                raise UserError(
                    f"episode.{side}.ways={ways} must be {self.min_ways} or more for "
                    f"task={self.name}"
                )

    def check_samples(self, samples: Mapping[str, Samples]) -> None:
        """Refuse samples without the targets that the task needs."""
        for split, part in samples.items() if self.per_sample_target else ():
            column = part.columns.get(str(self.target))
            if column is None:
                raise UserError(
                    f"task={self.name} needs a {self.target} for each sample; "
                    f"the {split} split has none"
                )
            if column.mask is not None:
                lacking = int((~column.mask).sum())
                raise UserError(
                    f"task={self.name} needs a {self.target} for each sample; {lacking} "
                    f"of the {split} split have none: leave these rows out"
                )

    def check_mappings(
        self, mappings: Iterable[EpisodeMapping], modalities: Mapping[str, Granularity]
    ) -> None:
        """Refuse mappings that the task cannot play."""
        for mapping in mappings if self.per_sample_target else ():
            if any(mapping.per_class(modalities)):
                raise UserError(
                    f"{mapping}: task={self.name} needs a value for each sample on both sides, "
                    "none for a whole class"
                )

    def prepare(self, samples: Samples) -> Samples:
        """The samples with the target in the form that ``targets`` and ``scores`` read."""
        return samples

    def targets(self, examples: ExampleSet) -> Tensor:
        """The answer of each item: its label, ``[B, items]``, or what the target column holds,
        ``[B, items, …]``.
        """
        if self.target is None:
            return examples.labels
        assert examples.answers is not None
        return examples.answers.items(self.target)

    @abstractmethod
    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> Any:
        """Predictions from the weights of support items.

        Where the target is embedded, the support targets are offsets from the support items,
        and the result is an offset from the query.

        Args:
            log_weights: ``[B, q, s]``; their exponentials sum to 1 over s.
            support_targets: ``[B, s]``, or ``[B, s, …]``.
        """

    def output_size(self, support_targets: Tensor) -> int:
        """How many numbers a model must give for each query, by the targets ``[B, s, …]``
        of the support set.
        """
        raise NotImplementedError(f"task={self.name} has no outputs of a fixed size")

    def decode(self, outputs: Tensor) -> Any:
        """Predictions from the outputs of a model: ``[B, q, output_size]`` → ``[B, q, …]``."""
        return outputs

    def numbers(self, predictions: Any) -> Tensor:
        """Predictions as numbers ``[B, q, …]``, which are equal where predictions are."""
        return predictions

    def format(self, predictions: Any) -> list[dict[str, Any]]:
        """The prediction for each query of the first episode, by a field of
        :class:`mmml.Prediction`.

        For targets that a file can hold.
        """
        raise UserError(f"task={self.name} has no answers that mmml-predict can write")

    def answers(
        self, predictions: Any, samples: Samples, drawn: Episodes
    ) -> Sequence[str | int] | None:
        """What a report shows as the answers to the queries of one episode: texts or row numbers;
        None for nothing.

        Args:
            predictions: of the episode.
            samples: that the episode was drawn from, by :func:`mmml.evaluation.embed.materialize`.
            drawn: the episode.
        """
        return None

    @abstractmethod
    def loss(self, predictions: Any, targets: Tensor) -> Tensor:
        """The loss that training minimises, averaged over the queries of each episode, ``[B]``;
        arguments as of ``scores``.
        """

    @abstractmethod
    def scores(self, predictions: Any, targets: Tensor) -> dict[Metric, Tensor]:
        """The score of every query, ``[B, q]``, by every metric.

        Args:
            predictions: ``[B, q, …]``.
            targets: ``[B, q]`` or ``[B, q, …]``.
        """

    def scores_of_episodes(
        self, predictions: Any, targets: Tensor, samples: Samples, drawn: Episodes
    ) -> dict[Metric, Tensor]:
        """``scores`` where more than the queries may matter, such as all candidates of the split;
        else the same.

        Args:
            predictions: as of ``scores``.
            targets: as of ``scores``.
            samples: that the episodes were drawn from, by
                :func:`mmml.evaluation.embed.materialize`.
            drawn: the episodes.
        """
        return self.scores(predictions, targets)

    @abstractmethod
    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        """What guessing is expected to score in episodes of a shape;
        empty where that is not known.
        """

    def chance_of_episodes(
        self, shape: EpisodeShape, sampler: Sampler, episodes: int
    ) -> dict[Metric, float]:
        """``chance`` where it depends on the samples of so many episodes."""
        return self.chance(shape)


def ways_of(episodes: EpisodeConfig) -> Iterable[tuple[str, Any, int, int]]:
    """For training and evaluation: the side of the config, the option as given, and the fewest
    and the most ways.
    """
    train, evaluated = episodes.train.ways, sorted(episodes.eval.ways)
    for side, ways in (("train", train), ("eval", evaluated[0]), ("eval", evaluated[-1])):
        least, most = (ways["min"], ways["max"]) if isinstance(ways, dict) else (ways, ways)
        yield side, ways, least, most
