"""``optimization``: the loss of problems after a number of steps, compared with hand-designed
update rules with a searched rate.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmml.config.schema import is_count
from mmml.errors import require
from mmml.evaluation.evaluator import Evaluator, Player, evaluators
from mmml.evaluation.examples.curves import Curve, curve
from mmml.evaluation.problems import LOSS, ProblemContext
from mmml.evaluation.results import Result, ResultKey, Results
from mmml.evaluation.statistics import interval
from mmml.tasks import Metric

MEDIAN = Metric("median loss", percent=False, higher_is_better=False)


@evaluators.register("optimization")
class Optimization(Evaluator):
    """The mean and median loss of test problems after each horizon, and the curves of the loss.

    Args:
        horizon_multiples: horizons as multiples of the training steps (``method.inner_steps``),
            each 1 or more.
    """

    name = "optimization"
    plays = ProblemContext

    def __init__(self, horizon_multiples: list[int]):
        option = "evaluation.optimization.horizon_multiples"
        ok = all(map(is_count, horizon_multiples))
        require(
            bool(horizon_multiples) and ok,
            option,
            horizon_multiples,
            "a list of positive whole numbers",
        )
        self.horizon_multiples = horizon_multiples
        self._curves: list[Curve] = []  # kept for the report, because solving problems is slow

    def run(self, player: Player, context: ProblemContext) -> Results:
        solver, horizon = player.learner, player.learner.unroll.inner_steps
        losses = context.solve(
            solver, "test", context.options.episodes, horizon * max(self.horizon_multiples)
        )
        if not solver.baseline:
            self._curves.clear()
        self._curves.append(curve(solver.predictor_name, losses))
        results = Results()
        for step in (horizon * multiple for multiple in self.horizon_multiples):
            mean, ci95 = interval(losses[step])
            results.add(
                self._row(player, context, LOSS, step, mean=mean, ci95=ci95, scores=losses[step])
            )
            results.add(
                self._row(
                    player, context, MEDIAN, step, mean=float(np.median(losses[step])), ci95=None
                )
            )
        return results

    def _row(
        self, player: Player, context: ProblemContext, metric: Metric, step: int, **values: Any
    ) -> Result:
        key = ResultKey(
            evaluator=self.name,
            split="test",
            task="optimization",
            predictor=player.learner.predictor_name,
            support=(context.family.name,),
            query=(),
            metric=metric.name,
            step=step,
        )
        return Result(
            key,
            n=context.options.episodes,
            unit="problems",
            role=player.learner.role,
            percent=metric.percent,
            higher_is_better=metric.higher_is_better,
            **values,
        )

    def examples(self, players: Sequence[Player], context: ProblemContext) -> dict[str, Any]:
        return {"curves": self._curves, "trained_to": players[0].learner.unroll.inner_steps}
