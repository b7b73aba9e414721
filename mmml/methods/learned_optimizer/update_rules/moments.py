"""Running means of gradients and of their squares."""

from torch import Tensor

from mmml.methods.learned_optimizer.update_rules.base import Params, State, check_kept, zeros_like

EPSILON = 1e-8


def root(square: Tensor) -> Tensor:
    """Return the square root with a finite derivative at 0, so that parameters without a gradient
    do not become NaN.
    """
    return (square + EPSILON**2).sqrt()


class Moments:
    """Bias-corrected running means of gradients and of their squares (Kingma and Ba, 2015,
    algorithm 1).

    Args:
        beta1, beta2: decay of the means, in [0, 1).
    """

    def __init__(self, beta1: float, beta2: float):
        for name, beta in (("beta1", beta1), ("beta2", beta2)):
            check_kept(name, beta)
        self.beta1, self.beta2 = beta1, beta2

    def init(self, params: Params) -> State:
        """Return both means as zero."""
        none = next(iter(params.values())).new_zeros(())
        return {"mean": zeros_like(params), "square": zeros_like(params), "count": {"": none}}

    def update(self, grads: Params, state: State) -> tuple[Params, Params, State]:
        """Return the corrected mean, the root of the corrected mean square, and the next state."""
        mean = {n: self.beta1 * state["mean"][n] + (1 - self.beta1) * g for n, g in grads.items()}
        square = {
            n: self.beta2 * state["square"][n] + (1 - self.beta2) * g.square()
            for n, g in grads.items()
        }
        count = state["count"][""] + 1  # number of steps, including this one
        first, second = 1 - self.beta1**count, 1 - self.beta2**count
        means = {n: m / first for n, m in mean.items()}
        roots = {n: root(s / second) + EPSILON for n, s in square.items()}
        return means, roots, {"mean": mean, "square": square, "count": {"": count}}
