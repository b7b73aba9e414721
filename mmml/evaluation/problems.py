"""The judgement of a learned optimizer on problems: its loss against steps, beside tuned hand-designed rules."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mmml.config.schema import EvaluationConfig
from mmml.data.base import Samples
from mmml.evaluation.calibration import Calibration
from mmml.evaluation.controls import curve
from mmml.evaluation.panel import Cell, Panel
from mmml.evaluation.statistics import interval
from mmml.methods import Role
from mmml.methods.learned_optimizer.problems import Family, Solver
from mmml.methods.learned_optimizer.unroll import Unroll
from mmml.methods.learned_optimizer.update_rules.hand_designed import HAND_DESIGNED, hand_designed
from mmml.tasks import Metric

LOSS, MEDIAN = (Metric(name, percent=False, higher_is_better=False) for name in ("mean loss", "median loss"))
RATIO = 10**0.25  # of neighbouring rates: four each decade
DECADES = range(-16, 9, 4)  # powers of it, around 0.1: from 1e-5 to 10


@dataclass
class ProblemJudge:
    """Judges solvers on one family of problems.

    Attributes:
        family: of the problems.
        samples: by split, where problems are made of samples.
        options: the section ``evaluation``; an episode is a problem.
        device: where problems are computed.
    """

    family: Family
    samples: dict[str, Samples]
    options: EvaluationConfig
    device: torch.device
    metric: Metric = LOSS

    def monitors(self, solver: Solver) -> list[str]:
        """The names of the validation scores."""
        return ["val/mean", "val/median", "val/objective"]

    def metric_of(self, monitor: str) -> Metric:
        """What a validation score measures: all are losses."""
        return self.metric

    def validate(self, solver: Solver) -> dict[str, float]:
        """Mean, median and the mean of training, after the last step of the horizon, on the same problems each time."""
        final = self._solve(solver, "val", self.options.validation_episodes, solver.unroll.inner_steps)[-1]
        objective = float(np.mean(final**solver.power) ** (1 / solver.power))
        return dict(zip(self.monitors(solver), (float(final.mean()), float(np.median(final)), objective), strict=True))

    def fingerprint(self) -> str:
        """Which problems validation plays."""
        return f"{self.options.seed} {self.options.validation_episodes}"

    def calibrate(self, solver: Solver) -> Calibration:
        """Losses have no confidence."""
        return Calibration()

    def doubts(self, calibration: Calibration) -> list[str]:
        """Losses have no confidence."""
        return []

    def judge(self, solver: Solver, calibration: Calibration | None) -> tuple[Panel, dict[str, Any]]:
        """Mean and median loss on test problems after each horizon, and the curves, of all rules."""
        panel, curves = Panel(), []
        steps = solver.unroll.inner_steps * max(self.options.horizon_multiples)
        for candidate in [solver, *self._baselines(solver.unroll)]:
            losses = self._solve(candidate, "test", self.options.episodes, steps)
            for horizon in self.options.horizon_multiples:
                self._add(
                    panel, candidate, losses[solver.unroll.inner_steps * horizon], solver.unroll.inner_steps * horizon
                )
            curves.append(curve(candidate.predictor_name, losses))
        return panel, {"curves": curves, "trained_to": solver.unroll.inner_steps}

    def _add(self, panel: Panel, solver: Solver, losses: np.ndarray, step: int) -> None:
        mean, ci95 = interval(losses)
        for metric, value, half, scores in (
            (LOSS, mean, ci95, losses),
            (MEDIAN, float(np.median(losses)), None, np.empty(0)),
        ):
            panel.add(
                Cell(
                    split="test",
                    task="optimization",
                    predictor=solver.predictor_name,
                    baseline=solver.baseline,
                    role=solver.role,
                    support=[self.family.name],
                    query=[],
                    ways=0,
                    shots=0,
                    episodes=len(losses),
                    candidates=None,
                    transductive=False,
                    metric=metric.name,
                    percent=False,
                    higher_is_better=metric.higher_is_better,
                    mean=value,
                    ci95=half,
                    step=step,
                ),
                scores,
            )

    def _solve(self, solver: Solver, split: str, problems: int, steps: int) -> np.ndarray:
        """The losses of the split's first problems, ``[steps + 1, problems]``, so many at a time as a rule likes."""
        size = sum(p.numel() for p in self.family.template().values())
        chunk = max(1, solver.optimizer.coordinates_at_once(self.device) // size)
        parts = []
        for first in range(0, problems, chunk):
            numbers = range(first, min(first + chunk, problems))
            drawn = self.family.draw(numbers, self.options.seed, split, self.samples.get(split), self.device)
            parts.append(solver.solve(drawn, steps).double().cpu().numpy())
        return np.concatenate(parts, axis=1)

    def _baselines(self, unroll: Unroll) -> list[Solver]:
        """Every hand-designed rule at the rate that validation problems like best."""
        return [self._tuned(name, unroll) for name in HAND_DESIGNED] if self.options.controls else []

    def _tuned(self, name: str, unroll: Unroll) -> Solver:
        """From the best power of ten, climb to neighbouring rates until both neighbours are worse."""

        def at(exponent: int) -> Solver:
            rate = 0.1 * RATIO**exponent
            solver = Solver(hand_designed(name, rate), f"{name}, rate {rate:.2g}", unroll).to(self.device)
            solver.role = Role.TUNED
            return solver

        known: dict[int, float] = {}

        def score(exponent: int) -> float:
            if exponent not in known:
                losses = self._solve(at(exponent), "val", self.options.lr_search_episodes, unroll.inner_steps)[-1]
                known[exponent] = float(np.nan_to_num(losses.mean(), nan=np.inf))
            return known[exponent]

        best = min(DECADES, key=score)
        while (better := min((best - 1, best, best + 1), key=score)) != best:
            best = better
        return at(best)
