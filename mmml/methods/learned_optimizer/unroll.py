"""The inner loop: steps of an update rule, through which meta-gradients are computed."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mmml.errors import require
from mmml.methods.learned_optimizer.update_rules import Params, State, UpdateRule, detached

ORDERS = {True: "first order", False: "second order"}

Objective = Callable[[Params, int], Tensor]
"""A function of parameters and the number of the step, which returns the loss of each of B tasks,
``[B]``.
"""


@dataclass(frozen=True)
class InnerState:
    """The state of B inner loops after a step.

    Attributes:
        params: the parameters of the models.
        state: of the update rule.
    """

    params: Params
    state: State

    def detached(self) -> "InnerState":
        """Return the same values without their graph."""
        return InnerState(
            detached(self.params), {name: detached(part) for name, part in self.state.items()}
        )


def start(params: Params, rule: UpdateRule) -> InnerState:
    """Return the state before the first step."""
    return InnerState(params, rule.init(params))


def descend(
    objective: Objective,
    point: InnerState,
    rule: UpdateRule,
    steps: Iterable[int],
    first_order: bool,
    connected: bool = False,
) -> Iterator[tuple[InnerState, Tensor]]:
    """Take inner steps. Yield for each step the state after it and the losses before it, ``[B]``.

    The graph is kept if gradients are enabled by the caller; otherwise only the last state is in
    memory.

    Args:
        objective: the loss to minimise.
        point: the state to start from.
        rule: the update rule.
        steps: the numbers of the steps.
        first_order: whether gradients, and the losses that the rule reads, are treated as
            constants.
        connected: whether the yielded losses are also differentiated by the caller.
    """
    recorded = torch.is_grad_enabled()
    for t in steps:
        with torch.enable_grad():
            follow = recorded and (connected or not first_order)
            at = {
                n: p if follow and p.requires_grad else p.detach().requires_grad_()
                for n, p in point.params.items()
            }
            losses = objective(at, t)
            grads = torch.autograd.grad(
                losses.sum(),
                list(at.values()),
                create_graph=recorded and not first_order,
                retain_graph=follow,
                allow_unused=True,
                materialize_grads=True,
            )
        observed = losses if recorded and not first_order else losses.detach()
        params = at if follow else point.params
        updates, state = rule.update(
            dict(zip(at, grads, strict=True)), point.state, params, observed
        )
        point = InnerState({n: p + updates[n].to(p.dtype) for n, p in params.items()}, state)
        yield point, losses if follow else observed


def divergence(
    losses: Sequence[Tensor], first: int, rule: UpdateRule, first_task: int = 0
) -> str | None:
    """Return a message about the first inner loop with a loss that is not finite; None if there is
    none.

    Args:
        losses: the losses before each step, ``[B]`` each.
        first: number of the first of these steps.
        rule: the update rule.
        first_task: number of the first of these tasks.
    """
    wrong = (
        ~torch.isfinite(torch.stack([loss.detach() for loss in losses]))
        if losses
        else torch.zeros(0, 0)
    )
    if not wrong.any():
        return None
    step, task = wrong.nonzero()[0].tolist()
    inner_lr = getattr(rule, "inner_lr", None)
    at, smaller = (
        ("", "trainer.lr")
        if inner_lr is None
        else (f" at method.update_rule.inner_lr={inner_lr}", "method.update_rule.inner_lr")
    )
    return (
        f"the inner loop of task {first_task + task} diverged: its loss is "
        f"{losses[step][task].item()} before step {first + step + 1}{at}; a smaller {smaller} or "
        "fewer method.inner_steps may help"
    )


@dataclass(frozen=True)
class Unroll:
    """How inner loops are unrolled in training.

    Attributes:
        inner_steps: number of steps of the full horizon.
        truncation_length: number of steps that a meta-gradient differentiates through; None for
            all.
        first_order: see :func:`descend`.
        step_loss_weights: the weights in the meta-loss of the losses after each step: ``last``,
            ``uniform`` or ``linear``.
        curriculum: the share of the training, from 0 to 1, during which the horizon grows from one
            truncated piece to ``inner_steps``.
    """

    inner_steps: int
    truncation_length: int | None
    first_order: bool
    step_loss_weights: str
    curriculum: float

    def __post_init__(self) -> None:
        require(
            self.inner_steps > 0, "method.inner_steps", self.inner_steps, "a positive whole number"
        )
        known = ("last", "uniform", "linear")
        require(
            self.step_loss_weights in known,
            "method.step_loss_weights",
            self.step_loss_weights,
            f"one of {', '.join(known)}",
        )
        require(0 <= self.curriculum <= 1, "method.curriculum", self.curriculum, "from 0 to 1")
        if self.truncation_length is not None:
            ok = 0 < self.truncation_length <= self.inner_steps
            require(
                ok,
                "method.truncation_length",
                self.truncation_length,
                f"from 1 to method.inner_steps={self.inner_steps}, or null",
            )

    def segments(self, progress: float) -> list[range]:
        """Return the step numbers of each truncated piece.

        Args:
            progress: the share of the training that is done.
        """
        piece = self.truncation_length or self.inner_steps
        grown = progress / self.curriculum if self.curriculum > 0 else 1.0
        pieces = 1 + round(min(grown, 1.0) * (math.ceil(self.inner_steps / piece) - 1))
        horizon = min(self.inner_steps, pieces * piece)
        return [range(first, min(first + piece, horizon)) for first in range(0, horizon, piece)]

    def meta_loss(self, losses: list[Tensor], segment: range) -> Tensor:
        """Return the weighted mean of the losses after each step of a segment."""
        if self.step_loss_weights == "last":
            return losses[-1]
        stacked = torch.stack(losses)
        if self.step_loss_weights == "uniform":
            return stacked.mean(0)
        weights = torch.arange(
            segment.start + 1, segment.stop + 1, dtype=stacked.dtype, device=stacked.device
        )
        return (stacked * (weights / weights.sum()).view(-1, *[1] * (stacked.ndim - 1))).sum(0)
