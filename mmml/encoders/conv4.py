"""``name: conv4``: the convolutional network of few-shot learning, of four blocks as
published or of more.
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
    """Blocks of convolution, batch normalisation, ReLU and pooling, four as published,
    then a linear layer.

    Vinyals et al. (2016), section 4.1; batch normalisation uses running statistics in
    evaluation mode.

    Args:
        width: of the embedding.
        size: images are resized to this many pixels on each side.
        channels: of each of four blocks (64 as published), or of each of so many as are listed.
        augment: strength of the random warps in training, 0 for none.
        colour: three channels, or one grey one (what runs did before they could say).
        num_pools: how many blocks, from the first, halve the image: 4 as published;
            3 leave 3×3 places of 28×28 pixels, where 4 leave one.
        elastic: how far points of an image are moved besides in training, see
            :class:`mmml.encoders.augment.Augment`.
        hflip: whether images are mirrored in training, half of the time.
        edge_darkening: how dark edges become in training, half of the time, at most;
            from 0 (not) to 1 (black).
        crop: images are cropped to their content before, so that neither its place
            nor its size counts.
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
        """The last layer, from the channels of all places."""
        return nn.Linear(channels * patches, width)

    def prepare(self, raw: Any) -> Tensor:
        return self.augment(as_input(raw, self.size, self.device, self.colour, self.crop))

    def forward(self, prepared: Tensor) -> Tensor:
        return self.head(self.blocks(prepared).flatten(1))


def conv_blocks(inputs: int, channels: list[int], num_pools: int = 4) -> nn.Sequential:
    """``[n, inputs, size, size]`` → ``[n, channels[-1], size // 2**num_pools, size //
    2**num_pools]``.
    """
    sizes = [inputs, *channels]
    return nn.Sequential(
        *(_block(*pair, pooled=i < num_pools) for i, pair in enumerate(pairwise(sizes)))
    )


def _block(inputs: int, outputs: int, pooled: bool) -> nn.Sequential:
    """Convolution 3×3, batch normalisation, 2×2 maximum, ReLU (last: the same function,
    a quarter of the work).
    """
    convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
    maximum = nn.MaxPool2d(2) if pooled else nn.Identity()
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), maximum, nn.ReLU())
