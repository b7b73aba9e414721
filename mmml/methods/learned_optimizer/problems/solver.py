"""The learned optimizer for problems, which are minimised instead of the losses of episodes."""

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from mmml.errors import TrainingError, UserError, require
from mmml.methods.learned_optimizer.problems.base import Family, Problems
from mmml.methods.learned_optimizer.unroll import ORDERS, Unroll, descend, divergence, start
from mmml.methods.learned_optimizer.update_rules import Params, UpdateRule, update_rules
from mmml.methods.learner import Trainable, methods
from mmml.registry import Registry, check_type

solvers = Registry("method for problems", "mmml.methods.learned_optimizer.problems")
"""Functions ``(section method, family, options of training) -> the model to train``."""


class Solver(Trainable):
    """Minimises problems by an update rule.

    The meta-loss of a truncated piece of the unroll is the logarithm of the mean loss over
    problems, so that late pieces, whose losses are small, count as much as early ones.

    Args:
        optimizer: the update rule.
        update_rule: its name.
        unroll: how it is unrolled in training.
        power: the exponent p of the generalised mean over problems, ``(mean of f^p)^(1/p)``. With
            1, the largest losses dominate; near 0, all problems count equally.
        random_scaling: in training each coordinate is scaled by a random factor ``exp(u)``, with u
            uniform in ±random_scaling (Lv, Jiang and Li, 2017, section 4.1); 0 for none.
    """

    name = "learned_optimizer"
    transductive = False
    is_small = True

    def __init__(
        self,
        optimizer: UpdateRule,
        update_rule: str,
        unroll: Unroll,
        power: float = 1.0,
        random_scaling: float = 0.0,
    ):
        super().__init__()
        require(0 < power <= 1, "problem.power", power, "above 0 and up to 1")
        require(random_scaling >= 0, "problem.random_scaling", random_scaling, "0 or more")
        self.optimizer, self.variant, self.unroll = optimizer, update_rule, unroll
        self.power, self.random_scaling = power, random_scaling

    @property
    def predictor_name(self) -> str:
        return self.variant

    def takes_bf16(self) -> bool:
        return False

    def describe(self) -> dict[str, Any]:
        return {
            "update_rule": self.variant,
            "order": ORDERS[self.unroll.first_order],
            "inner_steps": self.unroll.inner_steps,
            "update_rule_parameters": sum(p.numel() for p in self.optimizer.parameters()),
        }

    def losses(self, batch: Problems, progress: float) -> Iterator[Tensor]:
        problems = batch.scaled(self._units(batch.initial())) if self.random_scaling else batch
        point = start(problems.initial(), self.optimizer)
        for segment in self.unroll.segments(progress):
            met = []
            for reached, loss in descend(
                problems.losses,
                point,
                self.optimizer,
                segment,
                self.unroll.first_order,
                connected=True,
            ):
                met.append(loss)
                point = reached
            met.append(problems.losses(point.params, segment.stop))
            if what := divergence(met, segment.start, self.optimizer):
                raise TrainingError(what)
            means = [loss.clamp_min(SMALLEST).pow(self.power).mean() for loss in met[1:]]
            yield self.unroll.meta_loss(means, segment).log() / self.power
            point = point.detached()

    def _units(self, params: Params) -> Params:
        return {
            n: ((torch.rand_like(p) * 2 - 1) * self.random_scaling).exp() for n, p in params.items()
        }

    @torch.no_grad()
    def solve(self, problems: Problems, steps: int) -> Tensor:
        """Return the loss of each problem before each step and after the last, ``[steps + 1,
        B]``.
        """
        point = start(problems.initial(), self.optimizer)
        met = []
        for reached, loss in descend(
            problems.losses, point, self.optimizer, range(steps), first_order=True
        ):
            met.append(loss)
            point = reached
        return torch.stack([*met, problems.losses(point.params, steps)])


SMALLEST = 1e-12  # lower bound of losses: x**p with p < 1 has an infinite slope at 0
UNROLL = {f.name: f.type for f in fields(Unroll)}


def build_solver(options: Mapping[str, Any], family: Family, **training: float) -> Trainable:
    """Build the model of a config section ``method`` for problems; for the arguments see
    :func:`learned_solver`.

    Raises:
        UserError: the method cannot solve problems.
    """
    solver: Trainable = solvers.get(str(options.get("name")), f"problem={family.name} method")(
        options, family, **training
    )
    return solver


@solvers.register("learned_optimizer")
def learned_solver(options: Mapping[str, Any], family: Family, **training: float) -> Solver:
    """Build the solver of a section ``method``; options that only concern episodes are ignored.

    Args:
        options: the section.
        family: of the problems.
        training: ``power`` and ``random_scaling``, see :class:`Solver`.

    Raises:
        UserError: an option is unknown, wrong or missing, or the update rule has no parameters to
            learn.
    """
    for option, value in training.items():
        check_type(value, float, f"problem.{option}")
    wanted = {"update_rule": Mapping[str, Any], **UNROLL}
    for option, kind in wanted.items():
        if option not in options:
            raise UserError(f"method.{option} is missing: method=learned_optimizer needs it")
        check_type(options[option], kind, f"method.{option}")
    of_episodes = methods.options_of("learned_optimizer", "method.name")
    for option in options:
        if option not in ("name", *of_episodes):
            raise UserError(f"method.{option}: method 'learned_optimizer' has no such option")
    rule = str(options["update_rule"]["name"])
    optimizer: UpdateRule = update_rules.build_section(options["update_rule"], "method.update_rule")
    optimizer.fit_to(family.template())
    if not optimizer.learned:
        raise UserError(
            f"method/update_rule={rule} has nothing to learn on problem={family.name}: choose a "
            "rule that is learned, such as lstm, rnnprop, meta_lstm or learned_lr"
        )
    return Solver(optimizer, rule, Unroll(**{k: options[k] for k in UNROLL}), **training)
