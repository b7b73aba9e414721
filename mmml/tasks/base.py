"""What a task supplies; it knows no method."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from torch import Tensor

from mmml.config.schema import EpisodeConfig
from mmml.data.base import Dataset, Granularity, Samples
from mmml.episodes import EpisodeShape, ExampleSet
from mmml.episodes import Mapping as EpisodeMapping
from mmml.errors import UserError, did_you_mean
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
    """How support targets become predictions, and how predictions are judged.

    Attributes:
        target: the modality of what is to be found or written; None where a class or a score is asked for.

    Class attributes:
        name: as in configs and results.
        metrics: the first is the headline, by which validation selects.
        loss_metric: what tables call the loss, where they show it.
        needs_scores: whether samples must have scores.
        embeds_target: whether what is to be found is embedded as what it is found by.
        starts_heads: whether a head can begin with what the task computes.
        heads_of_support: whether that depends on the embeddings of the support set.
        gives_probabilities: whether predictions are log-probabilities of labels, ``[B, q, ways]``.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    loss_metric: ClassVar[Metric]

    target: str | None = None

    needs_scores: ClassVar[bool] = False
    embeds_target: ClassVar[bool] = False
    starts_heads: ClassVar[bool] = True
    heads_of_support: ClassVar[bool] = False
    gives_probabilities: ClassVar[bool] = False

    @property
    def target_columns(self) -> set[str]:
        """The target, if it is a modality."""
        return set() if self.target is None else {self.target}

    @property
    def per_sample_target(self) -> bool:
        """Whether each sample has a target of its own, and not the label of its class."""
        return self.needs_scores or self.target is not None

    @property
    def min_ways(self) -> int:
        """Classes that an episode must have."""
        return 1 if self.per_sample_target else 2

    def max_episodes(self, shape: EpisodeShape) -> int | None:
        """How many episodes of a shape can be adapted to at a time by gradients; None for as many as fit."""
        return None

    def check_dataset(self, dataset: Dataset) -> None:
        """Refuse a dataset without what is asked for, before it is loaded."""
        dataset.check()
        if self.needs_scores and not dataset.scored:
            raise UserError(f"task={self.name} needs a score for each sample, and dataset={dataset.name} has none")
        if not self.per_sample_target and not dataset.labelled:
            message = f"classes of dataset={dataset.name} say only what its scores are about, and cannot be told apart"
            raise UserError(f"task={self.name}: {message}: set task=regression episode=regression")

    def check(self, episodes: EpisodeConfig) -> None:
        """Refuse too few classes to tell apart, several to score, and images that no longer show what answers say."""
        if self.target and episodes.train.task_augmentation:
            share = episodes.train.task_augmentation
            raise UserError(
                f"episode.train.task_augmentation={share} changes images, and not the {self.target} of each: use 0"
            )
        train, judged = episodes.train.ways, sorted(episodes.eval.ways)
        for side, ways in (("train", train), ("eval", judged[0]), ("eval", judged[-1])):
            least, most = (ways["min"], ways["max"]) if isinstance(ways, dict) else (ways, ways)
            if least < self.min_ways:
                raise UserError(f"episode.{side}.ways={ways} must be {self.min_ways} or more for task={self.name}")
            if self.needs_scores and most > 1:
                raise UserError(f"episode.{side}.ways={most} would mix scores of different things: use 1")

    def check_samples(self, samples: Mapping[str, Samples]) -> None:
        """Refuse samples without the targets that the task needs."""
        for split, part in samples.items() if self.target else ():
            column = part.columns.get(str(self.target))
            if column is None or column.mask is not None:
                raise UserError(f"task.target={self.target}: some of the {split} split have none; leave these rows out")
        for split, part in samples.items() if self.needs_scores else ():
            if part.targets is None:
                raise UserError(f"task={self.name} needs a score for each sample, and the {split} split has none")
            lacking = int(np.isnan(part.targets).sum())
            if lacking:
                raise UserError(
                    f"task={self.name} needs a score for each sample; {lacking} of the {split} split have none"
                )

    def check_mappings(self, mappings: Iterable[EpisodeMapping], modalities: Mapping[str, Granularity]) -> None:
        """Refuse mappings that the task cannot play."""
        self._check_target(modalities)
        for mapping in mappings if self.per_sample_target else ():
            if any(mapping.per_class(modalities)):
                raise UserError(
                    f"{mapping}: task={self.name} needs a value for each sample on both sides, none for a whole class"
                )
            if self.target in mapping.modalities:
                message = f"{mapping} shows {self.target}, and task.target={self.target} asks for it"
                raise UserError(f"{message}: leave it out, or set episode=pairs")

    def _check_target(self, modalities: Mapping[str, Granularity]) -> None:
        if self.target is None:
            return
        if self.target not in modalities:
            known = ", ".join(m for m, per in modalities.items() if per is Granularity.SAMPLE)
            raise UserError(
                f"task.target={self.target}: this dataset has {known}{did_you_mean(self.target, modalities)}"
            )
        if modalities[self.target] is Granularity.CLASS:
            raise UserError(
                f"task.target={self.target} belongs to whole classes here, and task={self.name} needs one for each "
                "sample: choose another dataset, or other samples of it (dataset.samples)"
            )

    def fit(self, samples: Samples) -> None:  # noqa: B027 (most have nothing to learn)
        """Learn what is not learned by gradients from the training split, once, before training."""

    def with_targets(self, samples: Samples) -> Samples:
        """The samples with targets in the form that ``targets`` reads."""
        return replace(samples, target=self.target)

    def prepare_head(self, width: int, ways: int) -> int:
        """Make ready what only a method with a head needs, for embeddings of a width.

        Args:
            width: of the embeddings.
            ways: classes of a training episode, at most.

        Returns:
            the rows of a head that are learned: one for each label, or for each number that is predicted.
        """
        return ways

    def targets(self, examples: ExampleSet) -> Tensor:
        """What is to be predicted of each item: its label, ``[B, items]``, or its answer, ``[B, items, …]``."""
        if self.target is None:
            return examples.labels
        assert examples.answers is not None
        return examples.answers.items(self.target)

    @abstractmethod
    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> Any:
        """Predictions from how much each query trusts each support item.

        Where the target is embedded too, of how far it lies from what it is found by, to be added to the query.

        Args:
            log_weights: ``[B, q, s]``; their exponentials sum to 1 over s.
            support_targets: ``[B, s]``, or ``[B, s, …]``.
        """

    def numbers(self, predictions: Any) -> Tensor:
        """Predictions as numbers ``[B, q, …]`` that are the same where they are."""
        return predictions

    def answers(self, predictions: Any, targets: Tensor | None) -> Sequence[str | int]:
        """What is answered to each query of the first episode: a text, or the number of the candidate.

        For tasks with a target alone; arguments as of ``scores``, targets ``[1, n, width]`` among which answers are
        sought, or None where texts are written.
        """
        raise NotImplementedError

    def outputs(self, support: ExampleSet) -> int:
        """How many numbers a head gives for each query."""
        raise NotImplementedError

    def decode(self, outputs: Tensor) -> Any:
        """Predictions from what a head gives: ``[B, q, outputs]`` → ``[B, q, …]``."""
        raise NotImplementedError

    def init_head(self, embedded: Tensor, targets: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """The weight ``[B, outputs, width]`` and bias ``[B, outputs]`` of a head before any learning.

        Args:
            embedded: the support set, ``[B, s, width]``.
            targets: ``[B, s]``.
            scale: what the head's outputs are multiplied by.
        """
        raise NotImplementedError

    @abstractmethod
    def loss(self, predictions: Any, targets: Tensor) -> Tensor:
        """What learning descends, the mean over the queries of each episode, ``[B]``; arguments as of ``scores``."""

    @abstractmethod
    def scores(self, predictions: Any, targets: Tensor) -> dict[Metric, Tensor]:
        """The score of every query, ``[B, q]``, by every metric.

        Args:
            predictions: what ``aggregate`` returned.
            targets: ``[B, q]``.
        """

    def scores_among_candidates(
        self, predictions: Any, answers: Tensor, among: Iterable[tuple[np.ndarray, np.ndarray]]
    ) -> dict[Metric, Tensor]:
        """``scores`` where answers are sought among more than those of the queries, for tasks that embed them.

        Args:
            predictions: what ``aggregate`` returned, of B episodes.
            answers: ``[rows, width]``.
            among: for each episode the rows that are its candidates, ``[n]``, and the number of that of each query.
        """
        raise NotImplementedError

    @abstractmethod
    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        """What guessing is expected to score in episodes of a shape; empty where that is not known."""
