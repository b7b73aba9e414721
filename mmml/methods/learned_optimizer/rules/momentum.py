"""``rule: momentum``: a step along a running sum of gradients."""

from torch import Tensor

from mmml.methods.learned_optimizer.rules.base import (
    Params,
    State,
    UpdateRule,
    check_kept,
    check_rate,
    rules,
    zeros_like,
)


@rules.register("momentum")
class Momentum(UpdateRule):
    """The heavy ball (Polyak, 1964), as ``torch.optim.SGD`` has it.

    Args:
        rate: learning rate, positive.
        momentum: how much of the running sum stays, in [0, 1).
    """

    def __init__(self, rate: float, momentum: float):
        super().__init__()
        check_rate(rate)
        check_kept("momentum", momentum)
        self.rate, self.momentum = rate, momentum

    def init(self, params: Params) -> State:
        return {"velocity": zeros_like(params)}

    def update(self, grads: Params, state: State, params: Params, losses: Tensor) -> tuple[Params, State]:
        velocity = {name: self.momentum * state["velocity"][name] + g for name, g in grads.items()}
        return self.steps(grads, velocity), {"velocity": velocity}

    def steps(self, grads: Params, velocity: Params) -> Params:
        """What to add to the parameters."""
        return {name: -self.rate * v for name, v in velocity.items()}
