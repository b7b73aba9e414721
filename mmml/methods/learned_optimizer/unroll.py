"""The inner loop: an update rule followed for some steps, so that its gradients can be followed back."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmml.errors import require
from mmml.methods.learned_optimizer.rules import Params, State, UpdateRule, detached

ORDERS = {1: "first order", 2: "second order"}

Objective = Callable[[Params, int], Tensor]
"""(parameters, number of the step) → the loss of each of B tasks, ``[B]``."""


@dataclass(frozen=True)
class Point:
    """Where B inner loops stand.

    Attributes:
        params: of the models.
        state: of the update rule.
    """

    params: Params
    state: State

    def detached(self) -> "Point":
        """The same values without their history: parameters and state, so that neither is followed back."""
        return Point(detached(self.params), {name: detached(part) for name, part in self.state.items()})


def start(params: Params, rule: UpdateRule) -> Point:
    """The point before the first step."""
    return Point(params, rule.init(params))


def descend(
    objective: Objective, point: Point, rule: UpdateRule, steps: Iterable[int], order: int, connected: bool = False
) -> Iterator[tuple[Point, Tensor]]:
    """Take steps, and tell of each where it led and the losses where it began, ``[B]``.

    Gradients are followed where they are enabled outside; else nothing is kept of a step but its end.

    Args:
        objective: what is descended.
        point: where from.
        rule: that turns gradients into steps.
        steps: their numbers.
        order: 2 follows gradients, and losses that the rule sees, back through themselves; 1 takes
            them as constants.
        connected: whether the losses that are descended will be followed back too.
    """
    recorded = torch.is_grad_enabled()
    for t in steps:
        with torch.enable_grad():
            follow = recorded and (connected or order == 2)
            at = {n: p if follow and p.requires_grad else p.detach().requires_grad_() for n, p in point.params.items()}
            losses = objective(at, t)
            grads = torch.autograd.grad(
                losses.sum(),
                list(at.values()),
                create_graph=recorded and order == 2,
                retain_graph=follow,
                allow_unused=True,
                materialize_grads=True,
            )
        seen = losses if recorded and order == 2 else losses.detach()
        params = at if follow else point.params
        updates, state = rule.update(dict(zip(at, grads, strict=True)), point.state, params, seen)
        point = Point({n: p + updates[n].to(p.dtype) for n, p in params.items()}, state)
        yield point, losses if follow else seen


def divergence(losses: Sequence[Tensor], first: int, rule: UpdateRule, first_task: int = 0) -> str | None:
    """Which inner loop left the finite numbers, and where; None if none did.

    Args:
        losses: before each step, ``[B]`` each.
        first: number of the first of these steps.
        rule: that was followed.
        first_task: number of the first of these tasks.
    """
    wrong = ~torch.isfinite(torch.stack([loss.detach() for loss in losses])) if losses else torch.zeros(0, 0)
    if not wrong.any():
        return None
    step, task = wrong.nonzero()[0].tolist()
    rate = getattr(rule, "rate", None)
    at, smaller = ("", "trainer.lr") if rate is None else (f" at method.rate={rate}", "method.rate")
    return (
        f"the inner loop of task {first_task + task} diverged: its loss is {losses[step][task].item()} before step "
        f"{first + step + 1}{at}; a smaller {smaller} or fewer method.steps may help"
    )


@dataclass(frozen=True)
class Unroll:
    """How inner loops are unrolled in training.

    Attributes:
        steps: in all.
        truncation: steps that are followed back at a time; None for all of them.
        order: 1 or 2, see :func:`descend`.
        weights: of the losses after each step in the meta-loss: ``last``, ``uniform`` or ``linear``.
        curriculum: the share of the training, from 0 to 1, over which the horizon grows from one
            truncation to ``steps``.
    """

    steps: int
    truncation: int | None
    order: int
    weights: str
    curriculum: float

    def __post_init__(self) -> None:
        require(self.steps > 0, "method.steps", self.steps, "a positive whole number")
        require(self.order in (1, 2), "method.order", self.order, "1 or 2")
        known = ("last", "uniform", "linear")
        require(self.weights in known, "method.weights", self.weights, f"one of {', '.join(known)}")
        require(0 <= self.curriculum <= 1, "method.curriculum", self.curriculum, "from 0 to 1")
        if self.truncation is not None:
            ok = 0 < self.truncation <= self.steps
            require(ok, "method.truncation", self.truncation, f"from 1 to method.steps={self.steps}, or null")

    def segments(self, progress: float) -> list[range]:
        """The numbers of the steps, in pieces that are followed back.

        Args:
            progress: the share of the training that is done.
        """
        piece = self.truncation or self.steps
        grown = progress / self.curriculum if self.curriculum > 0 else 1.0
        pieces = 1 + round(min(grown, 1.0) * (math.ceil(self.steps / piece) - 1))
        horizon = min(self.steps, pieces * piece)
        return [range(first, min(first + piece, horizon)) for first in range(0, horizon, piece)]

    def meta_loss(self, losses: list[Tensor], segment: range) -> Tensor:
        """The weighted mean of the losses after each step of a segment."""
        if self.weights == "last":
            return losses[-1]
        stacked = torch.stack(losses)
        if self.weights == "uniform":
            return stacked.mean(0)
        weights = torch.arange(segment.start + 1, segment.stop + 1, dtype=stacked.dtype, device=stacked.device)
        return (stacked * (weights / weights.sum()).view(-1, *[1] * (stacked.ndim - 1))).sum(0)
