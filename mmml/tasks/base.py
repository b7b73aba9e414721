"""What a task supplies; it knows no method."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

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
    """

    name: str
    percent: bool = True
    higher_is_better: bool = True
    median: bool = False

    def of_episodes(self, scores: Tensor) -> Tensor:
        """The score of each episode from those of its queries: ``[B, q]`` → ``[B]`` in float64."""
        scores = scores.double()
        return scores.quantile(0.5, dim=-1) if self.median else scores.mean(-1)


class Task(ABC):
    """How support targets become predictions, and how predictions are judged.

    Class attributes:
        name: as in configs and results.
        metrics: the first is the headline, by which validation selects.
        is_ranking: whether a prediction ranks all support items as candidates.
    """

    name: ClassVar[str]
    metrics: ClassVar[tuple[Metric, ...]]
    is_ranking: ClassVar[bool] = False

    @abstractmethod
    def combine(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """Predictions from how much each query trusts each support item.

        Args:
            log_weights: ``[B, q, s]``; their exponentials sum to 1 over s.
            support_targets: ``[B, s]``.
        """

    @abstractmethod
    def scores(self, predictions: Tensor, targets: Tensor) -> dict[Metric, Tensor]:
        """The score of every query, ``[B, q]``, by every metric.

        Args:
            predictions: what ``combine`` returned.
            targets: ``[B, q]``.
        """

    @abstractmethod
    def chance(self, ways: int) -> dict[Metric, float]:
        """What guessing among ``ways`` classes (or candidates) is expected to score."""
