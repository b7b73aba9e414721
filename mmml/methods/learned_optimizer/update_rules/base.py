"""What an update rule is: a pair of functions over trees of parameters,
as in optax and TorchOpt.
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
"""What a rule remembers, by what it is; empty for a rule that remembers nothing."""


class UpdateRule(nn.Module, ABC):
    """Turns gradients into steps; its own parameters, if it has any, are learned across tasks.

    Every task has gradients, state and steps of its own: B tasks never mix.

    Class attributes:
        learned: whether the rule has parameters of its own.
        coordinates: of models that are best adapted at a time: what a rule holds for each of them
            should fit the caches.
    """

    learned: ClassVar[bool] = False
    coordinates: ClassVar[int] = 4_000_000

    def fit_to(self, template: Mapping[str, Tensor]) -> None:
        """Create parameters of the rule that belong to single model parameters;
        most rules have none.

        Args:
            template: what the parameters of one model look like, by name; a size of 1 may be
                broadcast, where it differs among tasks (the number of classes).
        """

    def init(self, params: Params) -> State:
        """The state before the first step."""
        return {}

    def coordinates_at_once(self, device: torch.device) -> int:
        """How many coordinates of models to adapt at a time: more on a GPU than fit into
        the caches of a CPU.
        """
        return self.coordinates * (1 if device.type == "cpu" else 20)

    @abstractmethod
    def update(
        self, grads: Params, state: State, params: Params, losses: Tensor
    ) -> tuple[Params, State]:
        """What to add to the parameters, and the next state.

        Args:
            grads: of the loss by the parameters; 0 where the loss does not depend on one.
            state: what ``init`` or the last ``update`` returned.
            params: where the gradients were taken.
            losses: of each task there, ``[B]``.
        """


def check_lr(inner_lr: float) -> None:
    """Refuse a learning rate that is not positive."""
    require(inner_lr > 0, "method.update_rule.inner_lr", inner_lr, "a positive number")


def check_kept(name: str, share: float) -> None:
    """Refuse a decay outside of [0, 1); ``name`` is the option."""
    require(0 <= share < 1, f"method.update_rule.{name}", share, "from 0 to below 1")


def zeros_like(params: Params) -> Params:
    """The same shapes, without gradient."""
    return {name: torch.zeros_like(p.detach()) for name, p in params.items()}


def detached(params: Params) -> Params:
    """The same values without their graph."""
    return {name: p.detach() for name, p in params.items()}
