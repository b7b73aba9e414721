"""The base class of tasks, which define targets, predictions and scores, independently of the
method.
"""

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
    """A score and how to read it.

    Attributes:
        name: as in results.
        percent: whether it is shown times 100.
        higher_is_better: whether validation selects the highest value; else the lowest.
        median: whether an episode's score is the median over its queries; else the mean.
        share: whether an episode's score is the share of its queries that are answered correctly.
    """

    name: str
    percent: bool = True
    higher_is_better: bool = True
    median: bool = False
    share: bool = False

    def of_episodes(self, scores: Tensor) -> Tensor:
        """Return the score of each episode from the scores of its queries: ``[B, q]`` → float64
        ``[B]``.
        """
        scores = scores.double()
        return scores.quantile(0.5, dim=-1) if self.median else scores.mean(-1)


class Task(ABC):
    """Base class: defines the targets of an episode, how support targets become predictions, and
    how predictions are scored.

    Attributes:
        target: the column with the answer of each sample, such as ``score`` or ``text``; None if
            the answer is the label of the sample's class. Predictions are then log-probabilities of
            labels, ``[B, q, ways]``.

    Class attributes:
        name: as in configs and results.
        metrics: the first is the headline metric, by which validation selects.
        loss_metric: the name of the loss in tables.
        form: the form of answers: ``label``, ``scalar``, ``embedding`` or ``text``. The learned
            optimizer has a head for each form, see :mod:`mmml.methods.learned_optimizer.heads`.
        constants: baselines that give the same answer to every query, by name: functions from the
            targets of a support set, ``[B, s, …]``, to the values ``[B, s, …]`` that are aggregated
            with equal weights.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    loss_metric: ClassVar[Metric]
    form: ClassVar[str] = "label"
    constants: ClassVar[Mapping[str, Callable[[Tensor], Tensor]]] = {}

    target: str | None = None

    @property
    def target_columns(self) -> set[str]:
        """The set of the target column; empty if targets are labels."""
        return set() if self.target is None else {self.target}

    @property
    def embedded_columns(self) -> set[str]:
        """The set of the target column if the learner embeds targets; predictions are then
        embeddings, too.
        """
        return set()

    @property
    def per_sample_target(self) -> bool:
        """Whether each sample has its own target instead of the label of its class."""
        return self.target is not None

    @property
    def min_ways(self) -> int:
        """The least number of classes of an episode."""
        return 1 if self.per_sample_target else 2

    def check_dataset(self, dataset: Dataset) -> None:
        """Raise a ``UserError`` if a dataset has no answers for this task, before it is loaded."""
        dataset.check()
        if not self.per_sample_target and not dataset.labelled:
            message = (
                f"classes of dataset={dataset.name} say only what its scores are about, "
                "and cannot be told apart"
            )
            raise UserError(f"task={self.name}: {message}: set task=regression episode=regression")

    def check(self, episodes: EpisodeConfig) -> None:
        """Raise a ``UserError`` for too few ways, and for task augmentation if each sample has its
        own target.
        """
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
        """Raise a ``UserError`` if samples lack the targets of the task."""
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
        """Raise a ``UserError`` for mappings that do not fit the task."""
        for mapping in mappings if self.per_sample_target else ():
            if any(mapping.per_class(modalities)):
                raise UserError(
                    f"{mapping}: task={self.name} needs a value for each sample on both sides, "
                    "none for a whole class"
                )

    def prepare(self, samples: Samples) -> Samples:
        """Return the samples with the target column in the form that ``targets`` and ``scores``
        need.
        """
        return samples

    def targets(self, examples: ExampleSet) -> Tensor:
        """Return the target of each item: its label, ``[B, items]``, or the value of the target
        column, ``[B, items, …]``.
        """
        if self.target is None:
            return examples.labels
        assert examples.answers is not None
        return examples.answers.items(self.target)

    @abstractmethod
    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> Any:
        """Return predictions from the weights of support items.

        If targets are embedded, the support targets are offsets from the support items, and the
        result is an offset from the query.

        Args:
            log_weights: ``[B, q, s]``; their exponentials sum to 1 over s.
            support_targets: ``[B, s]``, or ``[B, s, …]``.
        """

    def output_size(self, support_targets: Tensor) -> int:
        """Return how many numbers a model must compute for each query, by the targets ``[B, s, …]``
        of the support set.
        """
        raise NotImplementedError(f"task={self.name} has no outputs of a fixed size")

    def decode(self, outputs: Tensor) -> Any:
        """Return predictions ``[B, q, …]`` from the outputs of a model, ``[B, q, output_size]``."""
        return outputs

    def numbers(self, predictions: Any) -> Tensor:
        """Return predictions as numbers ``[B, q, …]`` that are equal if predictions are equal."""
        return predictions

    def format(self, predictions: Any) -> list[dict[str, Any]]:
        """Return the prediction for each query of the first episode as a dict, whose key is a field
        of :class:`mmml.Prediction`.

        Only for targets that can be written to a file.
        """
        raise UserError(f"task={self.name} has no answers that mmml-predict can write")

    def answers(
        self, predictions: Any, samples: Samples, drawn: Episodes
    ) -> Sequence[str | int] | None:
        """Return the predicted answers to the queries of one episode for the report: texts or row
        numbers; None if it shows none.

        Args:
            predictions: of the episode.
            samples: of the split, from :func:`mmml.evaluation.embed.materialize`.
            drawn: the episode.
        """
        return None

    @abstractmethod
    def loss(self, predictions: Any, targets: Tensor) -> Tensor:
        """Return the training loss of each episode, averaged over its queries, ``[B]``; for the
        arguments see ``scores``.
        """

    @abstractmethod
    def scores(self, predictions: Any, targets: Tensor) -> dict[Metric, Tensor]:
        """Return the score of each query by each metric, ``[B, q]``.

        Args:
            predictions: ``[B, q, …]``.
            targets: ``[B, q]`` or ``[B, q, …]``.
        """

    def scores_of_episodes(
        self, predictions: Any, targets: Tensor, samples: Samples, drawn: Episodes
    ) -> dict[Metric, Tensor]:
        """Return the same as ``scores``, but with access to the samples, for example to rank all
        candidates of a split.

        Args:
            predictions: see ``scores``.
            targets: see ``scores``.
            samples: of the split, from :func:`mmml.evaluation.embed.materialize`.
            drawn: the episodes.
        """
        return self.scores(predictions, targets)

    @abstractmethod
    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        """Return the expected scores of guessing in episodes of a shape; empty if they are not
        known.
        """

    def chance_of_episodes(
        self, shape: EpisodeShape, sampler: Sampler, episodes: int
    ) -> dict[Metric, float]:
        """Return the same as ``chance``, for scores that depend on the samples of the episodes;
        ``episodes`` is their number.
        """
        return self.chance(shape)


def ways_of(episodes: EpisodeConfig) -> Iterable[tuple[str, Any, int, int]]:
    """Yield, for training and evaluation: the side of the config, the option, and the smallest and
    largest number of ways.
    """
    train, evaluated = episodes.train.ways, sorted(episodes.eval.ways)
    for side, ways in (("train", train), ("eval", evaluated[0]), ("eval", evaluated[-1])):
        least, most = (ways["min"], ways["max"]) if isinstance(ways, dict) else (ways, ways)
        yield side, ways, least, most
