"""``distance=mahalanobis``: a distance that is trained together with the encoders."""

import torch
from torch import Tensor, nn

from mmml.errors import UserError
from mmml.similarity.distances import at_least_float32, distances, euclidean


@distances.register("mahalanobis")
class Mahalanobis(nn.Module):
    """``√((q − s)ᵀ LᵀL (q − s)) = ‖Lq − Ls‖`` with a learned matrix L, initially the identity.

    Weinberger and Saul (2009), equation 2. With frozen encoders, L is all that is learned of the
    embedding space.

    Args:
        width: of the embeddings.

    Raises:
        UserError: ``width`` is None.
    """

    def __init__(self, width: int | None):
        super().__init__()
        if width is None:
            raise UserError(
                "method/distance=mahalanobis needs embeddings of one width; choose "
                "encoders that have it"
            )
        self.map = nn.Parameter(torch.eye(width))

    def forward(self, query: Tensor, support: Tensor) -> Tensor:
        """``[..., q, d], [..., s, d]`` → ``[..., q, s]``."""
        return euclidean(*(at_least_float32(x) @ self.map.T for x in (query, support)))
