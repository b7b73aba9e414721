"""``name: mlp_image`` and ``mlp_text``: one perceptron per branch, on flattened inputs."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from mmml.encoders.base import Encoder, encoders
from mmml.encoders.images import as_input
from mmml.errors import require
from mmml.text import PAD, VOCABULARY, to_bytes


@encoders.register("mlp_image")
class MLPImage(Encoder):
    """Pixels, flattened, through one hidden layer.

    Args:
        width: of the embedding.
        size: images are resized to this many pixels on each side.
        hidden: units of the hidden layer.
        colour: three channels, or one grey one (what runs did before they could say).
    """

    modality = "image"

    def __init__(self, width: int, size: int, hidden: int, colour: bool = False):
        super().__init__()
        require(size > 0, "encoder.image.size", size, "a positive whole number")
        require(hidden > 0, "encoder.image.hidden", hidden, "a positive whole number")
        self.size, self.colour = size, colour
        self.layers = perceptron((3 if colour else 1) * size * size, hidden, width)

    def prepare(self, raw: Any) -> Tensor:
        return as_input(raw, self.size, self.device, self.colour).flatten(1)

    def forward(self, prepared: Tensor) -> Tensor:
        return self.layers(prepared)


@encoders.register("mlp_text")
class MLPText(Encoder):
    """Bytes, each embedded, flattened, through one hidden layer.

    Args:
        width: of the embedding.
        max_length: bytes read of each text.
        channels: of each byte's embedding.
        hidden: units of the hidden layer.
    """

    modality = "text"

    def __init__(self, width: int, max_length: int, channels: int, hidden: int):
        super().__init__()
        for name, value in (("max_length", max_length), ("channels", channels), ("hidden", hidden)):
            require(value > 0, f"encoder.text.{name}", value, "a positive whole number")
        self.max_length = max_length
        self.bytes = nn.Embedding(VOCABULARY, channels, padding_idx=PAD)
        self.layers = perceptron(max_length * channels, hidden, width)

    def prepare(self, raw: Sequence[str]) -> Tensor:
        return to_bytes(raw, self.max_length, self.max_length).to(self.bytes.weight.device)

    def forward(self, prepared: Tensor) -> Tensor:
        return self.layers(self.bytes(prepared).flatten(1))


def perceptron(inputs: int, hidden: int, width: int) -> nn.Sequential:
    """Linear, ReLU, linear."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, width))
