"""``name: frame_attention``: convolutions on each video frame, then attention over the frames."""

from typing import Any

import torch
from torch import Tensor, nn

from mmml.encoders.attention import AttentionEncoder, Transformer
from mmml.encoders.augment import Augment
from mmml.encoders.base import encoders
from mmml.encoders.conv4 import conv_blocks
from mmml.encoders.images import as_input
from mmml.encoders.sequences import in_buckets, pad
from mmml.errors import require

BUCKET = 32  # videos embedded at a time in evaluation mode


@encoders.register("frame_attention")
class FrameAttention(AttentionEncoder):
    """The convolutional blocks of ``conv4`` on each frame, then a transformer over the frames.

    A factorised video transformer (Arnab et al., 2021, model 2) with convolutional blocks (Vinyals
    et al., 2016) for each frame.

    Args:
        width: of the embedding.
        size: frames are resized to this many pixels on each side.
        frames: maximum number of frames read; of longer videos, this many evenly spaced ones.
        differences: whether each frame has three more channels: its difference from the frame
            before.
        channels: of each convolutional block and of the transformer; a multiple of ``heads``.
        layers: of the transformer.
        heads: of the attention.
        dropout: dropout rate in training, from 0 to below 1.
        augment: strength of the random warps in training, one warp for all frames of a video; 0 is
            none.
    """

    modality = "video"
    vectorizes = False

    def __init__(
        self,
        width: int,
        size: int,
        frames: int,
        differences: bool,
        channels: int,
        layers: int,
        heads: int,
        dropout: float,
        augment: float,
    ):
        super().__init__()
        require(
            size >= 16, "encoder.video.size", size, "16 or more: four poolings halve it four times"
        )
        require(frames > 0, "encoder.video.frames", frames, "a positive whole number")
        require(channels > 0, "encoder.video.channels", channels, "a positive whole number")
        self.size, self.frames, self.differences = size, frames, differences
        self.augment = Augment(augment, "encoder.video.augment")
        self.trunk = conv_blocks(6 if differences else 3, [channels] * 4)
        self.tokens = nn.Linear(channels * (size // 16) ** 2, channels)
        self.positions = nn.Parameter(torch.randn(frames, channels) * 0.02)
        self.transformer = Transformer(channels, layers, heads, dropout, "encoder.video")
        self.head = nn.Linear(channels, width)

    def prepare(self, raw: Any) -> Tensor:
        parts = [as_input(evenly(v, self.frames), self.size, self.device, colour=True) for v in raw]
        x = pad(parts)  # [n, frames, 3, size, size]
        padding = x.isnan()
        x = self.augment(x.masked_fill(padding, 0).flatten(1, 2)).view(x.shape)
        if self.differences:
            change = x.diff(dim=1, prepend=x[:, :1])
            x, padding = torch.cat([x, change], dim=2), torch.cat([padding, padding], dim=2)
        return x.masked_fill(padding, torch.nan)

    def embed_positions(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        real = ~prepared[:, :, 0, 0, 0].isnan()
        tokens = self.tokens(self.trunk(prepared[real]).flatten(1))
        x = tokens.new_zeros(*real.shape, tokens.shape[-1])
        x[real] = tokens
        return x + self.positions[: real.shape[1]], real.unsqueeze(-1)

    def encode(self, raw: Any) -> Tensor:
        """In evaluation mode, embed videos of similar length together; in training, all at once,
        since they share batch statistics.
        """
        return super().encode(raw) if self.training else in_buckets(super().encode, raw, BUCKET)


def evenly(video: Any, count: int) -> Any:
    """Return at most ``count`` evenly spaced frames of ``[T, …]`` in order, with the first and the
    last.
    """
    if len(video) <= count:
        return video
    at = torch.linspace(0, len(video) - 1, count).round().long()
    return video[at] if isinstance(video, Tensor) else video[at.numpy()]
