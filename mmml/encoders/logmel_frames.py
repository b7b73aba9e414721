"""``name: logmel_frames``: one embedding for each frame of a sound, to compare sounds along
time.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.base import encoders
from mmml.encoders.logmel import frames_of
from mmml.encoders.logmel_conv import LogMelConv
from mmml.errors import require
from mmml.similarity.dtw import FRAME


@encoders.register("logmel_frames")
class LogMelFrames(LogMelConv):
    """Four convolutional blocks as in ``logmel_conv``, but only the first two halve time.

    An embedding is the concatenation of frames, one every four hops, each of ``FRAME`` numbers and
    length 1, with NaN after the end of the sound. It needs ``method/distance=dtw``,
    ``method/classifier=nearest`` and ``encoder.normalize=false``. Gradients pass through the
    distance, and so through the alignment in time.

    Args:
        width: of the embedding, ``FRAME`` × the number of frames in ``seconds``, or None for this
            number.
        mels, hop, seconds, channels, augment: see ``logmel_conv``.
    """

    distance = "dtw"
    has_gaps = True
    has_own_width = True
    shortens = (True, True, False, False)

    def __init__(
        self,
        width: int | None,
        mels: int,
        hop: float,
        seconds: float,
        channels: int,
        augment: float,
    ):
        super().__init__(FRAME, mels, hop, seconds, channels, augment)
        self.frames = -(-frames_of(self.samples, self.hop) // 4)
        self.own_width = FRAME * self.frames
        wanted = f"null, or {self.own_width}: {self.frames} frames of {FRAME} numbers"
        require(width in (None, self.own_width), "encoder.width", width, wanted)

    def _head(self, channels: int, width: int) -> nn.Linear:
        return nn.Linear(channels, width)  # for each frame alone

    def forward(self, prepared: Tensor) -> Tensor:
        x, mask = self._maps(prepared)
        frames = F.normalize(self.head(x.flatten(1, 2).mT).float(), dim=-1)  # [n, frames, FRAME]
        frames = frames.masked_fill(~mask.flatten(1).unsqueeze(-1), torch.nan)
        return F.pad(frames, (0, 0, 0, self.frames - frames.shape[1]), value=torch.nan).flatten(1)
