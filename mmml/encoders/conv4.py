"""``name: conv4``: the four-block convolutional network of few-shot learning."""

from typing import Any

from torch import Tensor, nn

from mmml.encoders.base import Encoder, encoders
from mmml.encoders.images import Augment, as_input
from mmml.errors import require


@encoders.register("conv4")
class Conv4(Encoder):
    """Four blocks of convolution, batch normalisation, ReLU and pooling, then a linear layer.

    Vinyals et al. (2016), section 4.1; batch normalisation uses running statistics in
    evaluation mode.

    Args:
        width: of the embedding.
        size: images are resized to this many pixels on each side.
        channels: of every block (64 as published).
        augment: strength of the random warps in training, 0 for none.
        colour: three channels, or one grey one (what runs did before they could say).
    """

    modality = "image"

    def __init__(self, width: int, size: int, channels: int, augment: float, colour: bool = False):
        super().__init__()
        require(size >= 16, "encoder.image.size", size, "16 or more: four poolings halve it four times")
        require(channels > 0, "encoder.image.channels", channels, "a positive whole number")
        self.size, self.colour = size, colour
        self.augment = Augment(augment)
        self.blocks = four_blocks(3 if colour else 1, channels)
        self.head = nn.Linear(channels * (size // 16) ** 2, width)

    def prepare(self, raw: Any) -> Tensor:
        return self.augment(as_input(raw, self.size, self.device, self.colour))

    def forward(self, prepared: Tensor) -> Tensor:
        return self.head(self.blocks(prepared).flatten(1))


def four_blocks(inputs: int, channels: int) -> nn.Sequential:
    """``[n, inputs, size, size]`` → ``[n, channels, size // 16, size // 16]``."""
    return nn.Sequential(*(_block(inputs if i == 0 else channels, channels) for i in range(4)))


def _block(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution 3×3, batch normalisation, 2×2 maximum, ReLU (last: the same function, a quarter of the work)."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.MaxPool2d(2), nn.ReLU()
    )
