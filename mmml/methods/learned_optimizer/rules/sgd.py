"""``rule: sgd``: a step along the negative gradient."""

from torch import Tensor

from mmml.errors import require
from mmml.methods.learned_optimizer.rules.base import Params, State, UpdateRule, rules


@rules.register("sgd")
class SGD(UpdateRule):
    """Gradient descent (Cauchy, 1847); the inner loop of MAML (Finn, Abbeel and Levine, 2017, equation 1).

    Args:
        rate: learning rate, positive.
    """

    tunes = "rate"

    def __init__(self, rate: float):
        super().__init__()
        require(rate > 0, "method.rate", rate, "a positive number")
        self.rate = rate

    def update(self, grads: Params, state: State, params: Params, losses: Tensor) -> tuple[Params, State]:
        return {name: -self.rate * g for name, g in grads.items()}, state
