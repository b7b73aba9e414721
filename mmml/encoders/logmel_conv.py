"""``name: logmel_conv``: convolutions over the log-mel spectrogram of a sound."""

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
    """Four convolutional blocks over (mel, time), then the mean and the maximum over time.

    The blocks are those of ``conv4`` (Vinyals et al., 2016). The spectrogram of each clip is scaled
    to mean 0 and standard deviation 1, so that loudness does not matter. Padding is masked in every
    layer.

    Args:
        width: of the embedding.
        mels: number of mel bands, 8 to 64.
        hop: milliseconds from one frame to the next.
        seconds: maximum length read of each sound.
        channels: of each block.
        augment: strength of the augmentation in training, 0 for none; 1 cuts up to a tenth off the
            start and masks up to a fifth of the time and of the bands (Park et al., 2019).
    """

    modality = "audio"
    vectorizes = False
    # Whether each block halves time as well as the bands.
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
        """Return the last layer, which reads the mean and the maximum over time of all channels and
        bands.
        """
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
        """Return the output of the blocks, ``[n, channels, bands, times]``, 0 on padding, and a
        mask ``[n, 1, 1, times]``.
        """
        x, mask = unpad(prepared)
        x, mask = x.mT.unsqueeze(1), mask.mT.unsqueeze(1)  # [n, 1, mels, frames], [n, 1, 1, frames]
        for block in self.blocks:
            x, mask = block(x, mask)
        return x, mask

    def encode(self, raw: Any) -> Tensor:
        """In evaluation mode, embed sounds of similar length together; in training, all at once,
        since they share batch statistics.
        """
        return super().encode(raw) if self.training else in_buckets(super().encode, raw, BUCKET)


class MaskedBlock(nn.Module):
    """3×3 convolution, batch normalisation without padding, 2×2 max pooling, ReLU.

    Args:
        inputs, outputs: number of channels.
        shortens: whether time is halved as well as the bands.
    """

    def __init__(self, inputs: int, outputs: int, shortens: bool = True):
        super().__init__()
        self.pool = (2, 2 if shortens else 1)
        self.convolution = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output of the block and its mask, both at half the size.

        Halves are rounded up. Time stays as long as it is unless ``shortens``. Padding is 0 in the
        result, too: pooling with 0 changes only negative values, which the ReLU sets to 0 anyway.

        Args:
            x: ``[n, C, mels, frames]``, 0 on padding.
            mask: ``[n, 1, 1, frames]``.
        """
        x = self.convolution(x).movedim(1, -1)
        real = mask.squeeze(1).expand(x.shape[:-1])
        normalised = torch.zeros_like(x)
        normalised[real] = self.norm(x[real]).to(x.dtype)
        pooled = F.max_pool2d(normalised.movedim(-1, 1), self.pool, ceil_mode=True)
        return F.relu(pooled), mask[..., :: self.pool[1]]


def scaled(spectra: Tensor) -> Tensor:
    """Scale each spectrogram of ``[n, frames, mels]`` to mean 0 and standard deviation 1 over its
    values that are not NaN.
    """
    mean = spectra.nanmean((1, 2), keepdim=True)
    deviation = (spectra - mean).square().nanmean((1, 2), keepdim=True).sqrt()
    return (spectra - mean) / deviation.clamp_min(1e-3)


def hide_spans(spectra: Tensor, share: float) -> Tensor:
    """Set a random span of time and one of bands to 0, the mean; each span is at most ``share`` of
    the whole.
    """
    n, frames, mels = spectra.shape
    present = ~spectra.isnan()
    time = _random_span(present[..., 0].sum(1), frames, share)
    band = _random_span(torch.full((n,), mels, device=spectra.device), mels, share)
    return spectra.masked_fill((time.unsqueeze(2) | band.unsqueeze(1)) & present, 0)


def _random_span(lengths: Tensor, size: int, share: float) -> Tensor:
    """Return a mask ``[n, size]`` of a random span within the first ``lengths`` positions of each
    row.
    """
    width = torch.rand(len(lengths), 1, device=lengths.device) * share * lengths.unsqueeze(1)
    start = torch.rand(len(lengths), 1, device=lengths.device) * (lengths.unsqueeze(1) - width)
    position = torch.arange(size, device=lengths.device)
    return (position >= start) & (position < start + width - 0.5)
