"""``rule: learned_rates``: gradient descent whose every parameter has a learning rate of its own, learned."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from mmml.methods.learned_optimizer.rules.base import Params, State, UpdateRule, check_rate, rules


@rules.register("learned_rates")
class LearnedRates(UpdateRule):
    """Meta-SGD (Li, Zhou, Chen and Li, 2017, equation 1): ``θ − α ∘ ∇L``; α may become negative.

    Args:
        rate: at which every learning rate begins, positive.
    """

    learned = True

    def __init__(self, rate: float):
        super().__init__()
        check_rate(rate)
        self.rate = rate
        self.rates = nn.ParameterDict()

    def fit_to(self, template: Mapping[str, Tensor]) -> None:
        for name, parameter in template.items():
            self.rates[key(name)] = nn.Parameter(torch.full_like(parameter, self.rate))

    def update(self, grads: Params, state: State, params: Params, losses: Tensor) -> tuple[Params, State]:
        return {name: -self.rates[key(name)] * g for name, g in grads.items()}, state


def key(name: str) -> str:
    """A parameter's name as a ParameterDict takes it."""
    return name.replace(".", "/")
