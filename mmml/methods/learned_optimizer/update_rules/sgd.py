"""``method/update_rule=sgd``: steps along the negative gradient."""

from torch import Tensor

from mmml.methods.learned_optimizer.update_rules.base import (
    Params,
    State,
    UpdateRule,
    check_lr,
    update_rules,
)


@update_rules.register("sgd")
class SGD(UpdateRule):
    """Gradient descent (Cauchy, 1847); the inner loop of MAML (Finn, Abbeel and Levine,
    2017, equation 1).

    Args:
        inner_lr: learning rate, positive.
    """

    def __init__(self, inner_lr: float):
        super().__init__()
        check_lr(inner_lr)
        self.inner_lr = inner_lr

    def update(
        self, grads: Params, state: State, params: Params, losses: Tensor
    ) -> tuple[Params, State]:
        return {name: -self.inner_lr * g for name, g in grads.items()}, state
