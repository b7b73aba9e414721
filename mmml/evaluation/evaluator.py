"""The base classes of evaluation: evaluators, which measure learners and add rows to one table, and
the context that they share.
"""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from mmml.config.schema import EvaluationConfig
from mmml.data.base import Samples
from mmml.encoders.base import evaluating
from mmml.errors import UserError
from mmml.evaluation.calibration import Calibration
from mmml.evaluation.results import Results
from mmml.methods import Trainable
from mmml.registry import Registry
from mmml.tasks import Metric

evaluators = Registry("evaluator", "mmml.evaluation.evaluators")


@dataclass
class Player:
    """A learner to evaluate: the trained one, a control or a baseline.

    Attributes:
        learner: a :class:`mmml.methods.Learner`, or a solver of problems.
        samples: the test split, embedded by the learner; None for problems.
        calibration: applied to its confidence, may be empty; None if confidence is not measured.
    """

    learner: Any
    samples: Samples | None = None
    calibration: Calibration | None = None


class Context(ABC):
    """Base class of what all learners of a table share: the data, the options and the fixed
    episodes (or problems).

    Class attributes:
        what: the word for what is evaluated (``episodes``, ``problems``), for messages.

    Attributes:
        options: the section ``evaluation`` of the config.
        samples: the samples of each split.
    """

    what: ClassVar[str]
    options: EvaluationConfig
    samples: dict[str, Samples]

    @abstractmethod
    def players(self, learner: Any, calibration: Calibration | None) -> Iterator[Player]:
        """Yield the learner, then its controls, then the baselines.

        Args:
            learner: a finished learner.
            calibration: of its confidence; None to measure the uncalibrated confidence.
        """

    @property
    @abstractmethod
    def metric(self) -> Metric:
        """The metric by which validation selects."""

    @abstractmethod
    def monitors(self, learner: Any) -> list[str]:
        """Return the names of the validation scores."""

    @abstractmethod
    def validate(self, learner: Any) -> dict[str, float]:
        """Return the validation scores by name."""

    def metric_of(self, monitor: str) -> Metric:
        """Return the metric of a validation score."""
        return self.metric

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hash of the episodes (or problems) of validation."""

    def calibrate(self, learner: Any) -> Calibration:
        """Return the calibration of a finished learner on the validation split; empty if there is
        none.
        """
        return Calibration()

    def doubts(self, calibration: Calibration) -> list[str]:
        """Return messages about where calibrated confidence is not reliable."""
        return []


class Evaluator(ABC):
    """Base class: measures learners.

    The options of an evaluator are in the section ``evaluation.<name>``, those of all evaluators in
    ``evaluation``.

    Class attributes:
        name: as in configs and results.
        plays: the type of :class:`Context` that it needs.
    """

    name: ClassVar[str]
    plays: ClassVar[type[Context]]

    def check(self, learner: Any, context: Any) -> None:  # noqa: B027 (most have nothing to refuse)
        """Check the config before any data is loaded.

        Raises:
            UserError: the evaluator cannot run with an option, which the message names.
        """

    def check_samples(self, context: Any) -> None:  # noqa: B027 (most have nothing to refuse)
        """Check the data before training.

        Raises:
            UserError: the evaluator cannot run on the data; the message names the option.
        """

    @abstractmethod
    def run(self, player: Player, context: Any) -> Results:
        """Return the rows of one player; empty if it has nothing to measure."""

    def references(self, context: Any) -> Results:
        """Return rows without a learner, such as chance."""
        return Results()

    def examples(self, players: Sequence[Player], context: Any) -> dict[str, Any]:
        """Return what the report shows besides numbers, as JSON values.

        Args:
            players: the learner and all players that share its embeddings.
            context: as in :meth:`run`.
        """
        return {}


def build_evaluators(options: EvaluationConfig, kind: type[Context]) -> list[Evaluator]:
    """Build the evaluators of a section ``evaluation``, in their order.

    Raises:
        UserError: an option is wrong, or an evaluator needs another type of context.
    """
    found: list[Evaluator] = []
    for name, section in options.evaluators.items():
        evaluator: Evaluator = evaluators.build_section(section, f"evaluation.{name}")
        if not issubclass(kind, evaluator.plays):
            fit = [n for n in evaluators.names() if issubclass(kind, evaluators.get(n, n).plays)]  # type: ignore[attr-defined]
            raise UserError(
                f"evaluation.{name} cannot measure {kind.what}: choose 'evaluation/evaluators=[…]' "
                f"of {', '.join(fit)}"
            )
        found.append(evaluator)
    if not found:
        raise UserError(
            "evaluation/evaluators=[] measures nothing: choose some, such as "
            "'evaluation/evaluators=[few_shot]'"
        )
    return found


@torch.no_grad()
def run_evaluators(
    learner: Trainable,
    calibration: Calibration | None,
    evaluators: Sequence[Evaluator],
    context: Context,
) -> tuple[Results, list[Player]]:
    """Return all rows of a learner, its controls and its baselines on the test split.

    Args:
        learner: a finished learner; it is in evaluation mode meanwhile.
        calibration: of its confidence; None to measure the uncalibrated confidence.
        evaluators: the evaluators to run.
        context: passed to each evaluator.

    Raises:
        ValueError: an evaluator gave two rows with the same key.

    Returns:
        The table, and the players that share the learner's embeddings (the learner is the first),
            for :func:`collect_examples`.
    """
    results: Results = Results()
    own: list[Player] = []
    with evaluating(learner):
        for player in context.players(learner, calibration):
            if not own or player.samples is own[0].samples:
                own.append(player)
            for evaluator in evaluators:
                results.extend(evaluator.run(player, context))
        for evaluator in evaluators:
            results.extend(evaluator.references(context))
    for key, rows in Counter(result.key for result in results).items():
        if rows > 1:
            raise ValueError(f"evaluators gave {rows} rows where there should be one: {key}")
    return results, own


@torch.no_grad()
def collect_examples(
    players: Sequence[Player], evaluators: Sequence[Evaluator], context: Context
) -> dict[str, Any]:
    """Return what the report shows besides numbers, for the players from :func:`run_evaluators`."""
    shown: dict[str, Any] = {}
    with evaluating(players[0].learner):
        for evaluator in evaluators:
            shown |= evaluator.examples(players, context)
    return shown
