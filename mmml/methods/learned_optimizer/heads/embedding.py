"""The head for answers that are embeddings: a linear map of the embedding space to itself."""

import torch
from torch import Tensor

from mmml.errors import UserError
from mmml.methods.learned_optimizer.heads.base import Head, heads


@heads.register("embedding")
class EmbeddingHead(Head):
    """A head with one row for each number of an embedding. The scale is not learned, since cosines
    do not depend on it.
    """

    def __init__(self, width: int, init: str, scale: float):
        if init == "zero":
            raise UserError(
                "method.init=zero points nowhere, and this task compares directions: use prototype"
            )
        super().__init__(width, init, scale, rows=width)
        self.log_scale.requires_grad_(False)

    def computed(self, embedded: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the identity map: the prediction is the embedding of the query."""
        width = embedded.shape[-1]
        same = torch.eye(width, dtype=embedded.dtype, device=embedded.device) / self.scale
        return same.expand(len(embedded), -1, -1), embedded.new_zeros(len(embedded), width)
