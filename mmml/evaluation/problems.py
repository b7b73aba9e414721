"""The context of optimization: a family of problems, its fixed problems, and hand-designed update
rules with a searched rate.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from mmml.config.schema import EvaluationConfig
from mmml.data.base import Samples
from mmml.encoders.base import evaluating
from mmml.evaluation.calibration import Calibration
from mmml.evaluation.evaluator import Context, Player
from mmml.methods import Role
from mmml.methods.learned_optimizer.problems import Family, Solver
from mmml.methods.learned_optimizer.unroll import Unroll
from mmml.methods.learned_optimizer.update_rules.hand_designed import HAND_DESIGNED, hand_designed
from mmml.tasks import Metric

LOSS = Metric("mean loss", percent=False, higher_is_better=False)
RATIO = 10**0.25  # ratio of neighbouring rates: four per decade
DECADES = range(-16, 9, 4)  # exponents of RATIO from 0.1: rates from 1e-5 to 10


@dataclass
class ProblemContext(Context):
    """The fixed problems of one family; the options' numbers of episodes are numbers of problems.

    Attributes:
        family: of the problems.
        samples: the samples of each split, if problems are made of samples.
        options: the section ``evaluation`` of the config.
        device: where problems are computed.
    """

    what: ClassVar[str] = "problems"

    family: Family
    samples: dict[str, Samples]
    options: EvaluationConfig
    device: torch.device

    def players(self, learner: Solver, calibration: Calibration | None) -> Iterator[Player]:
        yield Player(learner)
        for name in HAND_DESIGNED if self.options.controls else ():
            yield Player(self._tuned(name, learner.unroll))

    @property
    def metric(self) -> Metric:
        return LOSS

    def monitors(self, learner: Solver) -> list[str]:
        return ["val/mean", "val/median", "val/objective"]

    def validate(self, learner: Solver) -> dict[str, float]:
        """Return the mean, the median and the training objective of the losses after the last step
        of the horizon, always on the same problems.
        """
        with evaluating(learner):
            final = self.solve(
                learner, "val", self.options.validation_episodes, learner.unroll.inner_steps
            )[-1]
        objective = float(np.mean(final**learner.power) ** (1 / learner.power))
        values = float(final.mean()), float(np.median(final)), objective
        return dict(zip(self.monitors(learner), values, strict=True))

    def fingerprint(self) -> str:
        return f"{self.options.seed} {self.options.validation_episodes}"

    def solve(self, solver: Solver, split: str, problems: int, steps: int) -> np.ndarray:
        """Return the losses of the first problems of a split, ``[steps + 1, problems]``, computed
        in batches that fit the update rule.
        """
        size = sum(p.numel() for p in self.family.template().values())
        chunk = max(1, solver.optimizer.coordinates_at_once(self.device) // size)
        parts = []
        for first in range(0, problems, chunk):
            numbers = range(first, min(first + chunk, problems))
            drawn = self.family.draw(
                numbers, self.options.seed, split, self.samples.get(split), self.device
            )
            parts.append(solver.solve(drawn, steps).double().cpu().numpy())
        return np.concatenate(parts, axis=1)

    def _tuned(self, name: str, unroll: Unroll) -> Solver:
        """Return a hand-designed update rule with the rate that is best on validation problems.

        The search starts from the best power of ten and moves to the best neighbouring rate until
        both neighbours are worse.
        """

        def at(exponent: int) -> Solver:
            rate = 0.1 * RATIO**exponent
            solver = Solver(hand_designed(name, rate), f"{name}, rate {rate:.2g}", unroll).to(
                self.device
            )
            solver.role = Role.TUNED
            return solver

        known: dict[int, float] = {}

        def score(exponent: int) -> float:
            if exponent not in known:
                losses = self.solve(
                    at(exponent), "val", self.options.lr_search_episodes, unroll.inner_steps
                )[-1]
                known[exponent] = float(np.nan_to_num(losses.mean(), nan=np.inf))
            return known[exponent]

        best = min(DECADES, key=score)
        while (better := min((best - 1, best, best + 1), key=score)) != best:
            best = better
        return at(best)
