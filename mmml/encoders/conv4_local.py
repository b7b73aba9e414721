"""``name: conv4_local``: one embedding for each patch of an image, to compare images patch by
patch.
"""

from torch import Tensor, nn

from mmml.encoders.base import encoders
from mmml.encoders.conv4 import Conv4
from mmml.errors import require
from mmml.similarity.local import DESCRIPTOR


@encoders.register("conv4_local")
class Conv4Local(Conv4):
    """The blocks of ``conv4``, then a linear layer at each position instead of one for the whole
    image.

    An embedding is the concatenation of ``DESCRIPTOR`` numbers for each position, for
    ``method/distance=local``.

    Args:
        width: of the embedding, ``DESCRIPTOR`` × the number of positions, or None for this number.
        size, channels, augment, colour, num_pools, elastic, hflip, crop, edge_darkening: see
            ``conv4``; there are ``(size // 2**num_pools)²`` positions.
    """

    distance = "local"
    has_own_width = True

    def _head(self, channels: int, patches: int, width: int | None) -> nn.Linear:
        self.own_width = patches * DESCRIPTOR
        wanted = f"null, or {self.own_width}: {patches} places of {DESCRIPTOR} numbers"
        require(width in (None, self.own_width), "encoder.width", width, wanted)
        return nn.Linear(channels, DESCRIPTOR)

    def forward(self, prepared: Tensor) -> Tensor:
        return self.head(self.blocks(prepared).flatten(2).mT).flatten(1)

    def together(self, views: Tensor) -> Tensor:
        """Concatenate the patches of all views, since a warp moves content from one patch to
        another.
        """
        return views.movedim(0, 1).flatten(1)
