"""Running means of gradients and of their squares."""

from mmml.methods.learned_optimizer.rules.base import Params, State, check_kept, counted, no_steps, zeros_like
from mmml.methods.learned_optimizer.rules.rmsprop import EPSILON, root


class Moments:
    """Running means of gradients and of their squares, corrected for their start (Kingma and Ba, 2015, algorithm 1).

    Args:
        beta1, beta2: how much of the means stays, in [0, 1).
    """

    def __init__(self, beta1: float, beta2: float):
        for name, beta in (("beta1", beta1), ("beta2", beta2)):
            check_kept(name, beta)
        self.beta1, self.beta2 = beta1, beta2

    def init(self, params: Params) -> State:
        """Both means at zero."""
        return {"mean": zeros_like(params), "square": zeros_like(params), "count": no_steps(params)}

    def update(self, grads: Params, state: State) -> tuple[Params, Params, State]:
        """The corrected mean, the root of the corrected mean square, and the next state."""
        mean = {n: self.beta1 * state["mean"][n] + (1 - self.beta1) * g for n, g in grads.items()}
        square = {n: self.beta2 * state["square"][n] + (1 - self.beta2) * g.square() for n, g in grads.items()}
        counts, count = counted(state)
        first, second = 1 - self.beta1**count, 1 - self.beta2**count
        means = {n: m / first for n, m in mean.items()}
        roots = {n: root(s / second) + EPSILON for n, s in square.items()}
        return means, roots, {"mean": mean, "square": square, "count": counts}
