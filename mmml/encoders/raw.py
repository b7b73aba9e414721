"""``name: raw_image``: the pixels themselves, for baselines that learn nothing."""

from torch import Tensor

from mmml.encoders.base import Encoder, encoders


@encoders.register("raw_image")
class RawImage(Encoder):
    """Pixels in [0, 1], flattened; ``width`` is ignored, since nothing is compared across modalities."""

    modality = "image"

    def __init__(self, width: int = 0):
        super().__init__()

    def prepare(self, raw: Tensor) -> Tensor:
        return raw.flatten(1).float() / 255

    def forward(self, prepared: Tensor) -> Tensor:
        return prepared
