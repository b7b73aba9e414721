"""``rule: sgd``: a step along the negative gradient."""

from torch import Tensor

from mmml.methods.learned_optimizer.rules.base import Params, State, UpdateRule, check_rate, rules


@rules.register("sgd")
class SGD(UpdateRule):
    """Gradient descent (Cauchy, 1847); the inner loop of MAML (Finn, Abbeel and Levine, 2017, equation 1).

    Args:
        rate: learning rate, positive.
    """

    def __init__(self, rate: float):
        super().__init__()
        check_rate(rate)
        self.rate = rate

    def update(self, grads: Params, state: State, params: Params, losses: Tensor) -> tuple[Params, State]:
        return {name: -self.rate * g for name, g in grads.items()}, state
