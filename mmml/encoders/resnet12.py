"""``name: resnet12``: the residual network common in few-shot learning."""

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.augment import Augment
from mmml.encoders.base import Encoder, encoders
from mmml.encoders.images import as_input
from mmml.errors import require


@encoders.register("resnet12")
class ResNet12(Encoder):
    """Four residual blocks of three convolutions, average pooling, then a linear layer.

    Oreshkin, López and Lacoste (2018); channels as in Lee et al. (2019), without their DropBlock.

    Args:
        width: of the embedding.
        size: images are resized to this many pixels on each side (84 as published).
        channels: of the four blocks (64, 160, 320, 640 as published).
        colour: whether images have three channels, or one (grey).
        augment: strength of the random warps in training, 0 for none.
    """

    modality = "image"

    def __init__(self, width: int, size: int, channels: list[int], colour: bool, augment: float):
        super().__init__()
        require(
            size >= 16, "encoder.image.size", size, "16 or more: four poolings halve it four times"
        )
        four = len(channels) == 4 and min(channels) > 0
        require(four, "encoder.image.channels", channels, "four positive whole numbers")
        self.size, self.colour = size, colour
        self.augment = Augment(augment)
        inputs = [3 if colour else 1, *channels]
        self.blocks = nn.Sequential(*(ResidualBlock(inputs[i], inputs[i + 1]) for i in range(4)))
        self.head = nn.Linear(channels[-1], width)

    def prepare(self, raw: Any) -> Tensor:
        return self.augment(as_input(raw, self.size, self.device, self.colour))

    def forward(self, prepared: Tensor) -> Tensor:
        return self.head(self.blocks(prepared).mean((-2, -1)))


class ResidualBlock(nn.Module):
    """Three 3×3 convolutions and a 1×1 shortcut, each with batch normalisation; 2×2 max pooling of
    the sum, then leaky ReLU.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.path = nn.Sequential(
            *_normalised(inputs, outputs, 3),
            nn.LeakyReLU(0.1),
            *_normalised(outputs, outputs, 3),
            nn.LeakyReLU(0.1),
            *_normalised(outputs, outputs, 3),
        )
        self.shortcut = nn.Sequential(*_normalised(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """``[n, inputs, H, W]`` → ``[n, outputs, H // 2, W // 2]``."""
        return F.leaky_relu(F.max_pool2d(self.path(x) + self.shortcut(x), 2), 0.1)


def _normalised(inputs: int, outputs: int, kernel: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False), nn.BatchNorm2d(
        outputs
    )
