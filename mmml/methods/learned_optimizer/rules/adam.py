"""``rule: adam``: momentum relative to the size of recent gradients."""

from torch import Tensor

from mmml.methods.learned_optimizer.rules.base import Params, State, UpdateRule, check_rate, rules
from mmml.methods.learned_optimizer.rules.moments import Moments


@rules.register("adam")
class Adam(UpdateRule):
    """Kingma and Ba (2015), as ``torch.optim.Adam`` has it.

    Args:
        rate: learning rate, positive.
        beta1, beta2: how much of the running means of gradients and of their squares stays, in [0, 1).
    """

    def __init__(self, rate: float, beta1: float, beta2: float):
        super().__init__()
        check_rate(rate)
        self.rate, self.moments = rate, Moments(beta1, beta2)

    def init(self, params: Params) -> State:
        return self.moments.init(params)

    def update(self, grads: Params, state: State, params: Params, losses: Tensor) -> tuple[Params, State]:
        means, roots, state = self.moments.update(grads, state)
        return {n: -self.rate * m / roots[n] for n, m in means.items()}, state
