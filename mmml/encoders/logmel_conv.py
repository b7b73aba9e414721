"""``name: logmel_conv``: convolutions over the log-mel spectrum of a sound."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.base import Encoder, encoders
from mmml.encoders.logmel import RATE, WINDOW, clips, log_mel_of
from mmml.encoders.sequences import in_buckets, unpad
from mmml.errors import require

BUCKET = 64  # sounds embedded at a time in evaluation mode


@encoders.register("logmel_conv")
class LogMelConv(Encoder):
    """Four blocks of convolution over (mel, time), then the mean and the maximum over time.

    The blocks are those of ``conv4`` (Vinyals et al., 2016). A clip's spectrum is scaled to mean
    0 and deviation 1, so that loudness does not matter; padding is masked throughout.

    Args:
        width: of the embedding.
        mels: bands of the spectrum, 8 to 64.
        hop: milliseconds from one frame to the next.
        seconds: read of each sound, at most.
        channels: of every block.
        augment: strength of the random changes in training, 0 for none; 1 cuts up to a tenth off
            the start and hides up to a fifth of the time and of the bands (Park et al., 2019).
    """

    modality = "audio"
    vectorizes = False
    # Which blocks halve time too, and not the bands alone.
    shortens: ClassVar[tuple[bool, ...]] = (True,) * 4

    def __init__(
        self, width: int, mels: int, hop: float, seconds: float, channels: int, augment: float
    ):
        super().__init__()
        require(8 <= mels <= 64, "encoder.audio.mels", mels, "from 8 to 64")
        require(1 <= hop <= 100, "encoder.audio.hop", hop, "from 1 to 100 (milliseconds)")
        require(seconds * RATE >= WINDOW, "encoder.audio.seconds", seconds, "0.025 or more")
        require(channels > 0, "encoder.audio.channels", channels, "a positive whole number")
        require(0 <= augment <= 2, "encoder.audio.augment", augment, "from 0 to 2")
        self.mels, self.hop, self.samples = mels, round(hop * RATE / 1000), round(seconds * RATE)
        self.augment = augment
        self.blocks = nn.ModuleList(
            MaskedBlock(1 if i == 0 else channels, channels, s) for i, s in enumerate(self.shortens)
        )
        self.head = self._head(channels * -(-mels // 16), width)

    def _head(self, channels: int, width: int) -> nn.Linear:
        """The last layer, from the channels of all bands at one time."""
        return nn.Linear(2 * channels, width)

    def prepare(self, raw: Any) -> Tensor:
        sounds = [clip[: self.samples] for clip in clips(raw)]
        changes = self.training and self.augment > 0
        if changes:
            sounds = [s[int(torch.rand(()) * 0.1 * self.augment * len(s)) :] for s in sounds]
        spectra = scaled(log_mel_of(sounds, self.mels, self.hop, self.device))
        return hide_spans(spectra, 0.2 * self.augment) if changes else spectra

    def forward(self, prepared: Tensor) -> Tensor:
        x, mask = self._maps(prepared)
        mean = x.sum(-1) / mask.sum(-1)
        return self.head(torch.cat([mean, x.amax(-1)], dim=1).flatten(1))

    def _maps(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Behind the blocks: ``[n, channels, bands, times]``, 0 on padding, and a mask
        ``[n, 1, 1, times]``.
        """
        x, mask = unpad(prepared)
        x, mask = x.mT.unsqueeze(1), mask.mT.unsqueeze(1)  # [n, 1, mels, frames], [n, 1, 1, frames]
        for block in self.blocks:
            x, mask = block(x, mask)
        return x, mask

    def encode(self, raw: Any) -> Tensor:
        """In evaluation mode, sounds of like length together; in training they
        share batch statistics.
        """
        return super().encode(raw) if self.training else in_buckets(super().encode, raw, BUCKET)


class MaskedBlock(nn.Module):
    """Convolution 3×3, batch normalisation of what is not padding, 2×2 maximum, ReLU.

    Args:
        inputs, outputs: channels.
        shortens: whether time is halved too, and not the bands alone.
    """

    def __init__(self, inputs: int, outputs: int, shortens: bool = True):
        super().__init__()
        self.pool = (2, 2 if shortens else 1)
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """``x`` ``[n, C, mels, frames]``, 0 on padding; ``mask`` ``[n, 1, 1, frames]`` →
        both at half the size.

        Halves are rounded up; time stays as it is unless the block shortens it. Padding is 0 again
        in the result, since a maximum with 0 changes nothing that the ReLU would keep.
        """
        x = self.convolution(x).movedim(1, -1)
        real = mask.squeeze(1).expand(x.shape[:-1])
        normalised = torch.zeros_like(x)
        normalised[real] = self.norm(x[real]).to(x.dtype)
        pooled = F.max_pool2d(normalised.movedim(-1, 1), self.pool, ceil_mode=True)
        return F.relu(pooled), mask[..., :: self.pool[1]]


def scaled(spectra: Tensor) -> Tensor:
    """Each of ``[n, frames, mels]`` with mean 0 and deviation 1 over all that is not NaN."""
    mean = spectra.nanmean((1, 2), keepdim=True)
    deviation = (spectra - mean).square().nanmean((1, 2), keepdim=True).sqrt()
    return (spectra - mean) / deviation.clamp_min(1e-3)


def hide_spans(spectra: Tensor, share: float) -> Tensor:
    """Set a random span of time and one of bands, each up to ``share`` of all, to 0, the mean."""
    n, frames, mels = spectra.shape
    present = ~spectra.isnan()
    time = _random_span(present[..., 0].sum(1), frames, share)
    band = _random_span(torch.full((n,), mels, device=spectra.device), mels, share)
    return spectra.masked_fill((time.unsqueeze(2) | band.unsqueeze(1)) & present, 0)


def _random_span(lengths: Tensor, size: int, share: float) -> Tensor:
    """A span within the first ``lengths`` of ``size`` places for each: ``[n, size]``."""
    width = torch.rand(len(lengths), 1, device=lengths.device) * share * lengths.unsqueeze(1)
    start = torch.rand(len(lengths), 1, device=lengths.device) * (lengths.unsqueeze(1) - width)
    position = torch.arange(size, device=lengths.device)
    return (position >= start) & (position < start + width - 0.5)
