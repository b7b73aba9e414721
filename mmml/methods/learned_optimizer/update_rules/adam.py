"""``method/update_rule=adam``: momentum divided by the size of recent gradients."""

from torch import Tensor

from mmml.methods.learned_optimizer.update_rules.base import (
    Params,
    State,
    UpdateRule,
    check_lr,
    update_rules,
)
from mmml.methods.learned_optimizer.update_rules.moments import Moments


@update_rules.register("adam")
class Adam(UpdateRule):
    """Adam (Kingma and Ba, 2015), as ``torch.optim.Adam``.

    Args:
        inner_lr: learning rate, positive.
        beta1, beta2: decay of the running means of gradients and of their squares, in [0, 1).
    """

    def __init__(self, inner_lr: float, beta1: float, beta2: float):
        super().__init__()
        check_lr(inner_lr)
        self.inner_lr, self.moments = inner_lr, Moments(beta1, beta2)

    def init(self, params: Params) -> State:
        return self.moments.init(params)

    def update(
        self, grads: Params, state: State, params: Params, losses: Tensor
    ) -> tuple[Params, State]:
        means, roots, state = self.moments.update(grads, state)
        return {n: -self.inner_lr * m / roots[n] for n, m in means.items()}, state
