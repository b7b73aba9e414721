"""``method/update_rule=momentum``: steps along a running sum of gradients."""

from torch import Tensor

from mmml.methods.learned_optimizer.update_rules.base import (
    Params,
    State,
    UpdateRule,
    check_kept,
    check_lr,
    update_rules,
    zeros_like,
)


@update_rules.register("momentum")
class Momentum(UpdateRule):
    """Gradient descent with momentum (Polyak, 1964), as ``torch.optim.SGD``.

    Args:
        inner_lr: learning rate, positive.
        momentum: decay of the running sum, in [0, 1).
    """

    def __init__(self, inner_lr: float, momentum: float):
        super().__init__()
        check_lr(inner_lr)
        check_kept("momentum", momentum)
        self.inner_lr, self.momentum = inner_lr, momentum

    def init(self, params: Params) -> State:
        return {"velocity": zeros_like(params)}

    def update(
        self, grads: Params, state: State, params: Params, losses: Tensor
    ) -> tuple[Params, State]:
        velocity = {name: self.momentum * state["velocity"][name] + g for name, g in grads.items()}
        return self.steps(grads, velocity), {"velocity": velocity}

    def steps(self, grads: Params, velocity: Params) -> Params:
        """Return what is added to the parameters."""
        return {name: -self.inner_lr * v for name, v in velocity.items()}
