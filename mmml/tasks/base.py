"""What a task supplies; it knows no method."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from mmml.registry import Registry

tasks = Registry("task", "mmml.tasks")


class Task(ABC):
    """How support targets become predictions, and how predictions are judged.

    Class attributes:
        name: as in configs and results.
        is_ranking: whether a prediction ranks all support items as candidates.
    """

    name: ClassVar[str]
    is_ranking: ClassVar[bool] = False

    @abstractmethod
    def combine(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """Predictions from how much each query trusts each support item.

        Args:
            log_weights: ``[B, q, s]``; their exponentials sum to 1 over s.
            support_targets: ``[B, s]``.
        """

    @abstractmethod
    def scores(self, predictions: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """By the metric's name, the score of every query: ``[B, q]``.

        Args:
            predictions: what ``combine`` returned.
            targets: ``[B, q]``.
        """

    @abstractmethod
    def chance(self, ways: int) -> dict[str, float]:
        """By the metric's name, what guessing among ``ways`` classes (or candidates) is expected to score."""
