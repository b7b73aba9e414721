"""The head for scores: one output."""

from torch import Tensor

from mmml.methods.learned_optimizer.heads.base import Head, heads


@heads.register("scalar")
class ScalarHead(Head):
    """A head with one row."""

    def __init__(self, width: int, init: str, scale: float):
        super().__init__(width, init, scale, rows=1)

    def computed(self, embedded: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return a head that predicts the mean of the support scores for every query."""
        mean = targets.to(embedded.dtype).mean(-1, keepdim=True)
        return embedded.new_zeros(len(embedded), 1, embedded.shape[-1]), mean / self.scale
