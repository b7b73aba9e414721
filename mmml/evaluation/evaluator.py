"""An evaluation is a list of evaluators: each measures all learners and adds rows to one table."""

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
    """A learner to be measured: the trained one, a control or a baseline.

    Attributes:
        learner: a :class:`mmml.methods.Learner` where episodes are played.
        samples: the test split as the learner embeds it; None where problems are made
            of random numbers.
        calibration: of its confidence, which may be empty; None where its confidence is
            not to be measured.
    """

    learner: Any
    samples: Samples | None = None
    calibration: Calibration | None = None


class Context(ABC):
    """What all learners of a table share: the data, the options and the fixed episodes
    (or problems).

    Class attributes:
        what: is played, for messages.

    Attributes:
        options: the section ``evaluation``.
        samples: by split.
    """

    what: ClassVar[str]
    options: EvaluationConfig
    samples: dict[str, Samples]

    @abstractmethod
    def players(self, learner: Any, calibration: Calibration | None) -> Iterator[Player]:
        """The learner, then its controls, then the baselines, one at a time.

        Args:
            learner: not trained any further.
            calibration: of its confidence; None to measure its confidence as it is.
        """

    @property
    @abstractmethod
    def metric(self) -> Metric:
        """By which validation selects."""

    @abstractmethod
    def monitors(self, learner: Any) -> list[str]:
        """The names of the validation scores."""

    @abstractmethod
    def validate(self, learner: Any) -> dict[str, float]:
        """The validation scores by name."""

    def metric_of(self, monitor: str) -> Metric:
        """The metric of a validation score."""
        return self.metric

    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of what validation plays."""

    def calibrate(self, learner: Any) -> Calibration:
        """The calibration of a finished learner on the validation split; empty if it has none."""
        return Calibration()

    def doubts(self, calibration: Calibration) -> list[str]:
        """Sentences that say where calibrated confidence is not reliable."""
        return []


class Evaluator(ABC):
    """Measures learners. Its options stand at ``evaluation.<name>``, what all evaluators share
    at ``evaluation``.

    Class attributes:
        name: as in configs and results.
        plays: the kind of :class:`Context` that it measures on.
    """

    name: ClassVar[str]
    plays: ClassVar[type[Context]]

    def check(self, learner: Any, context: Any) -> None:  # noqa: B027 (most have nothing to refuse)
        """Refuse a configuration that cannot be measured, before any data is loaded.

        Raises:
            UserError: one sentence that names the option.
        """

    def check_samples(self, context: Any) -> None:  # noqa: B027 (most have nothing to refuse)
        """Refuse data that does not suit, before any training.

        Raises:
            UserError: one sentence that names the option.
        """

    @abstractmethod
    def run(self, player: Player, context: Any) -> Results:
        """The rows of one player; empty if there is nothing to measure of it."""

    def references(self, context: Any) -> Results:
        """Rows without a learner, such as chance."""
        return Results()

    def examples(self, players: Sequence[Player], context: Any) -> dict[str, Any]:
        """What the report shows besides numbers, as JSON values.

        Args:
            players: the learner, and all that share its embeddings.
            context: as of :meth:`run`.
        """
        return {}


def build_evaluators(options: EvaluationConfig, kind: type[Context]) -> list[Evaluator]:
    """The evaluators of a section ``evaluation``, in their order.

    Raises:
        UserError: an option is wrong, or an evaluator measures on another kind of context.
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
    """All rows of a learner, its controls and its baselines, on the test split.

    Args:
        learner: not trained any further; it is put into evaluation mode meanwhile.
        calibration: of its confidence; None to measure its confidence as it is.
        evaluators: that measure.
        context: what they measure on.

    Raises:
        ValueError: an evaluator gave two rows with the same key.

    Returns:
        The table; and those players that share the learner's embeddings, the learner first, for
        :func:`collect_examples`.
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
    """What the report shows besides numbers, of the players that :func:`run_evaluators` gave."""
    shown: dict[str, Any] = {}
    with evaluating(players[0].learner):
        for evaluator in evaluators:
            shown |= evaluator.examples(players, context)
    return shown
