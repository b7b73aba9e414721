"""``method/update_rule=learned_lr``: gradient descent with a learned rate for each parameter."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmml.methods.learned_optimizer.update_rules.base import (
    Params,
    State,
    UpdateRule,
    check_lr,
    update_rules,
)


@update_rules.register("learned_lr")
class LearnedRates(UpdateRule):
    """Meta-SGD (Li, Zhou, Chen and Li, 2017, equation 1): ``θ − α ∘ ∇L``; α may become negative.

    Args:
        inner_lr: initial value of each learning rate, positive.
    """

    learned = True

    def __init__(self, inner_lr: float):
        super().__init__()
        check_lr(inner_lr)
        self.inner_lr = inner_lr
        self.lrs = nn.ParameterDict()

    def fit_to(self, template: Mapping[str, Tensor]) -> None:
        for name, parameter in template.items():
            self.lrs[key(name)] = nn.Parameter(torch.full_like(parameter, self.inner_lr))

    def update(
        self, grads: Params, state: State, params: Params, losses: Tensor
    ) -> tuple[Params, State]:
        return {name: -self.lrs[key(name)] * g for name, g in grads.items()}, state


def key(name: str) -> str:
    """Replace the dots of a parameter's name, which a ParameterDict does not allow."""
    return name.replace(".", "/")
