"""``name: conv4``: the convolutional network common in few-shot learning, with four blocks as
published, or more.
"""

from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from mmml.encoders.augment import Augment
from mmml.encoders.base import Encoder, encoders
from mmml.encoders.images import as_input
from mmml.errors import require


@encoders.register("conv4")
class Conv4(Encoder):
    """Blocks of convolution, batch normalisation, ReLU and max pooling, then a linear layer.

    Vinyals et al. (2016), section 4.1, with four blocks; batch normalisation uses running
    statistics in evaluation mode.

    Args:
        width: of the embedding.
        size: images are resized to this many pixels on each side.
        channels: of each of four blocks (64 as published), or a list with the channels of each
            block.
        augment: strength of the random warps in training, 0 for none.
        colour: whether images have three channels, or one (grey; the only choice of older
            versions).
        num_pools: number of blocks, from the first, that halve the image: 4 as published. Of 28×28
            pixels, 3 leave 3×3 positions and 4 leave one.
        elastic: strength of the elastic deformation in training, see
            :class:`mmml.encoders.augment.Augment`.
        hflip: whether half of the training images are mirrored.
        edge_darkening: largest share by which edges are darkened in half of the training images,
            from 0 (none) to 1 (black).
        crop: whether images are first cropped to their content, so that its position and size do
            not matter.
    """

    modality = "image"

    def __init__(
        self,
        width: int,
        size: int,
        channels: int | list[int],
        augment: float,
        colour: bool = False,
        num_pools: int = 4,
        elastic: float = 0.0,
        hflip: bool = False,
        crop: bool = False,
        edge_darkening: float = 0.0,
    ):
        super().__init__()
        each = [channels] * 4 if isinstance(channels, int) else channels
        require(
            bool(each) and min(each) > 0,
            "encoder.image.channels",
            channels,
            "a positive whole number, or a list",
        )
        ok = 1 <= num_pools <= len(each)
        require(
            ok, "encoder.image.num_pools", num_pools, f"from 1 to {len(each)}, the number of blocks"
        )
        halved = f"{2**num_pools} or more: encoder.image.num_pools={num_pools} halve it as often"
        require(size >= 2**num_pools, "encoder.image.size", size, halved)
        self.size, self.colour, self.crop = size, colour, crop
        self.augment = Augment(augment, elastic=elastic, hflip=hflip, edge_darkening=edge_darkening)
        self.blocks = conv_blocks(3 if colour else 1, each, num_pools)
        self.head = self._head(each[-1], (size // 2**num_pools) ** 2, width)

    def _head(self, channels: int, patches: int, width: int) -> nn.Linear:
        """Return the last layer, which reads the channels of all positions at once."""
        return nn.Linear(channels * patches, width)

    def prepare(self, raw: Any) -> Tensor:
        return self.augment(as_input(raw, self.size, self.device, self.colour, self.crop))

    def forward(self, prepared: Tensor) -> Tensor:
        return self.head(self.blocks(prepared).flatten(1))


def conv_blocks(inputs: int, channels: list[int], num_pools: int = 4) -> nn.Sequential:
    """Return the blocks, which map ``[n, inputs, size, size]`` to ``[n, channels[-1], s, s]`` with
    s = ``size // 2**num_pools``.
    """
    sizes = [inputs, *channels]
    return nn.Sequential(
        *(_block(*pair, pooled=i < num_pools) for i, pair in enumerate(pairwise(sizes)))
    )


def _block(inputs: int, outputs: int, pooled: bool) -> nn.Sequential:
    """Return a 3×3 convolution, batch normalisation, 2×2 max pooling and ReLU.

    The ReLU is last, since it commutes with the maximum and then has a quarter of the work.
    """
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    maximum = nn.MaxPool2d(2) if pooled else nn.Identity()
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), maximum, nn.ReLU())
