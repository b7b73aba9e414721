"""``name: mlp_image``, ``mlp_text`` and ``mlp_features``: multilayer perceptrons on flattened
inputs.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from mmml.encoders.base import Encoder, encoders
from mmml.encoders.feature_transformer import Standardised, as_tensor
from mmml.encoders.images import as_input
from mmml.errors import UserError, require
from mmml.text import PAD, VOCABULARY, count_bytes, to_bytes


@encoders.register("mlp_image")
class MLPImage(Encoder):
    """A multilayer perceptron on flattened pixels.

    Args:
        width: of the embedding.
        size: images are resized to this many pixels on each side.
        hidden: units of the hidden layer, or a list with the units of each hidden layer.
        colour: whether images have three channels, or one (grey; the only choice of older
            versions).
        batch_norm: whether batch normalisation comes before each ReLU.
        ends_linear: whether the last layer, which gives the embedding, is linear; else batch
            normalisation and ReLU follow it as they follow the others.
    """

    modality = "image"

    def __init__(
        self,
        width: int,
        size: int,
        hidden: int | list[int],
        colour: bool = False,
        batch_norm: bool = False,
        ends_linear: bool = True,
    ):
        super().__init__()
        require(size > 0, "encoder.image.size", size, "a positive whole number")
        sizes = [hidden] if isinstance(hidden, int) else hidden
        require(
            all(h > 0 for h in sizes),
            "encoder.image.hidden",
            hidden,
            "a positive whole number, or a list of them",
        )
        self.size, self.colour = size, colour
        self.layers = perceptron(
            (3 if colour else 1) * size * size, sizes, width, batch_norm, ends_linear
        )

    def prepare(self, raw: Any) -> Tensor:
        return as_input(raw, self.size, self.device, self.colour).flatten(1)

    def forward(self, prepared: Tensor) -> Tensor:
        return self.layers(prepared)


@encoders.register("mlp_text")
class MLPText(Encoder):
    """A perceptron with one hidden layer on the concatenated embeddings of a text's bytes.

    Args:
        width: of the embedding.
        max_length: number of bytes read of each text.
        channels: width of each byte's embedding.
        hidden: units of the hidden layer.
    """

    modality = "text"

    def __init__(self, width: int, max_length: int, channels: int, hidden: int):
        super().__init__()
        for name, value in (("max_length", max_length), ("channels", channels), ("hidden", hidden)):
            require(value > 0, f"encoder.text.{name}", value, "a positive whole number")
        self.max_length = max_length
        self.bytes = nn.Embedding(VOCABULARY, channels, padding_idx=PAD)
        self.layers = perceptron(max_length * channels, [hidden], width)

    def prepare(self, raw: Sequence[str]) -> Tensor:
        return to_bytes(raw, self.max_length, self.max_length).to(self.bytes.weight.device)

    def lengths(self, raw: Sequence[str]) -> tuple[list[int], int]:
        return count_bytes(raw), self.max_length

    def forward(self, prepared: Tensor) -> Tensor:
        return self.layers(self.bytes(prepared).flatten(1))


@encoders.register("mlp_features")
class MLPFeatures(Encoder):
    """A multilayer perceptron on standardised vectors.

    Args:
        width: of the embedding.
        hidden: units of each hidden layer.
    """

    modality = "features"

    def __init__(self, width: int, hidden: list[int]):
        super().__init__()
        ok = bool(hidden) and all(h > 0 for h in hidden)
        require(ok, "encoder.features.hidden", hidden, "a list of positive whole numbers")
        self.first = Standardised(hidden[0])
        self.layers = nn.Sequential(nn.ReLU(), perceptron(hidden[0], hidden[1:], width))

    def fit(self, values: Any) -> None:
        self.first.fit(values)

    def prepare(self, raw: Any) -> Tensor:
        x = as_tensor(raw)
        if x.ndim > 2:
            raise UserError(
                "encoder.features.name=mlp_features reads vectors, not sequences: "
                "use feature_transformer"
            )
        return self.first.standardise(x.to(self.device))

    def forward(self, prepared: Tensor) -> Tensor:
        return self.layers(self.first(prepared))


def perceptron(
    inputs: int, hidden: list[int], width: int, batch_norm: bool = False, ends_linear: bool = True
) -> nn.Sequential:
    """Return linear layers with a ReLU after each, except after the last one if ``ends_linear``:
    ``[n, inputs]`` → ``[n, width]``.
    """
    sizes = [inputs, *hidden, width]
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(sizes)):
        activated = i < len(hidden) or not ends_linear
        normed = activated and batch_norm  # batch normalisation has its own bias
        layers.append(nn.Linear(before, after, bias=not normed))
        layers += [
            *([nn.BatchNorm1d(after)] if normed else []),
            *([nn.ReLU()] if activated else []),
        ]
    return nn.Sequential(*layers)
