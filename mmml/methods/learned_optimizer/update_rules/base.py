"""The base class of update rules: a pair of functions of parameter trees, as in optax and
TorchOpt.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from mmml.errors import require
from mmml.registry import Registry

update_rules = Registry("update rule", "mmml.methods.learned_optimizer.update_rules")

Params = dict[str, Tensor]
"""The parameters of B models at once, by name, each ``[B, …]``."""

State = dict[str, Params]
"""The state of an update rule: trees of tensors by name; empty for a rule without state."""


class UpdateRule(nn.Module, ABC):
    """Base class: turns gradients into steps; parameters of the rule, if any, are learned across
    tasks.

    Each task has its own gradients, state and steps: the B tasks of a batch are independent.

    Class attributes:
        learned: whether the rule has learned parameters.
        coordinates: number of model parameters to adapt at a time, so that the state of the rule
            fits into the caches.
    """

    learned: ClassVar[bool] = False
    coordinates: ClassVar[int] = 4_000_000

    def fit_to(self, template: Mapping[str, Tensor]) -> None:
        """Create parameters of the rule that belong to single model parameters; most rules have
        none.

        Args:
            template: tensors with the shapes of one model's parameters, by name; a dimension of
                size 1 is broadcast if its size differs between tasks (the number of classes).
        """

    def init(self, params: Params) -> State:
        """Return the state before the first step."""
        return {}

    def coordinates_at_once(self, device: torch.device) -> int:
        """Return the number of model parameters to adapt at a time: on a GPU more than fit into the
        caches of a CPU.
        """
        return self.coordinates * (1 if device.type == "cpu" else 20)

    @abstractmethod
    def update(
        self, grads: Params, state: State, params: Params, losses: Tensor
    ) -> tuple[Params, State]:
        """Return what is added to the parameters, and the next state.

        Args:
            grads: the gradient of the loss; 0 for parameters that it does not depend on.
            state: returned by ``init`` or the last ``update``.
            params: the parameters at which the gradients were computed.
            losses: the loss of each task at these parameters, ``[B]``.
        """


def check_lr(inner_lr: float) -> None:
    """Raise a ``UserError`` if a learning rate is not positive."""
    require(inner_lr > 0, "method.update_rule.inner_lr", inner_lr, "a positive number")


def check_kept(name: str, share: float) -> None:
    """Raise a ``UserError`` if a decay is outside [0, 1); ``name`` is the option."""
    require(0 <= share < 1, f"method.update_rule.{name}", share, "from 0 to below 1")


def zeros_like(params: Params) -> Params:
    """Return zeros of the same shapes, without gradient."""
    return {name: torch.zeros_like(p.detach()) for name, p in params.items()}


def detached(params: Params) -> Params:
    """Return the same values without their graph."""
    return {name: p.detach() for name, p in params.items()}
