"""``method/update_rule=rmsprop``: gradients divided by the size of recent ones."""

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
from mmml.methods.learned_optimizer.update_rules.moments import EPSILON, root


@update_rules.register("rmsprop")
class RMSProp(UpdateRule):
    """RMSProp (Tieleman and Hinton, 2012), as ``torch.optim.RMSprop``.

    Args:
        inner_lr: learning rate, positive.
        decay: of the running mean of squared gradients, in [0, 1).
    """

    def __init__(self, inner_lr: float, decay: float):
        super().__init__()
        check_lr(inner_lr)
        check_kept("decay", decay)
        self.inner_lr, self.decay = inner_lr, decay

    def init(self, params: Params) -> State:
        return {"square": zeros_like(params)}

    def update(
        self, grads: Params, state: State, params: Params, losses: Tensor
    ) -> tuple[Params, State]:
        square = {
            n: self.decay * state["square"][n] + (1 - self.decay) * g.square()
            for n, g in grads.items()
        }
        return {n: -self.inner_lr * g / (root(square[n]) + EPSILON) for n, g in grads.items()}, {
            "square": square
        }
