"""``method/update_rule=nesterov``: Nesterov momentum."""

from mmml.methods.learned_optimizer.update_rules.base import Params, update_rules
from mmml.methods.learned_optimizer.update_rules.momentum import Momentum


@update_rules.register("nesterov")
class Nesterov(Momentum):
    """Nesterov's accelerated gradient (1983) in the form of Sutskever et al. (2013), as
    ``torch.optim.SGD``.
    """

    def steps(self, grads: Params, velocity: Params) -> Params:
        return {
            name: -self.inner_lr * (g + self.momentum * velocity[name]) for name, g in grads.items()
        }
