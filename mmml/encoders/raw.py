"""``name: raw_image``, ``raw_text``, …: the raw values as embeddings, for baselines without
training.

Values of varying length are padded with NaN to a fixed length; their distances ignore NaN.
"""

import zlib
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.encoders.base import Encoder, encoders
from mmml.encoders.feature_transformer import as_tensor
from mmml.encoders.frame_attention import evenly
from mmml.encoders.images import as_input
from mmml.encoders.logmel import clips, log_mel_of
from mmml.encoders.logmel_conv import scaled
from mmml.encoders.strokes import resampled
from mmml.similarity.dtw import FRAME

CPU = torch.device("cpu")


class Raw(Encoder):
    """Base class: the embedding is the output of ``prepare``.

    ``width`` is ignored, since raw values are never compared across modalities.
    """

    has_fixed_width = False

    def __init__(self, width: int = 0):
        super().__init__()

    def forward(self, prepared: Tensor) -> Tensor:
        return prepared


@encoders.register("raw_image")
class RawImage(Raw):
    """Flattened pixels in [0, 1].

    Images ``[n, H, W]`` are kept as they are. Others become colour images of 32×32 pixels
    (``[n, 3072]``), and the mean of each channel is subtracted, so that background and brightness
    do not matter.
    """

    modality = "image"
    distance = "cosine"
    size = 32

    def prepare(self, raw: Any) -> Tensor:
        if isinstance(raw, Tensor) and raw.ndim == 3:
            return raw.flatten(1).float() / 255
        pixels = as_input(raw, self.size, CPU, colour=True)
        return (pixels - pixels.mean((-2, -1), keepdim=True)).flatten(1)


@encoders.register("raw_ink")
class RawInk(Raw):
    """The positions of the ink pixels of images ``[n, H, W]``: y and x from their centre, up to
    2,560 pixels, padded with NaN.
    """

    modality = "image"
    distance = "modified_hausdorff"
    has_gaps = True
    points = 2560  # the largest drawing of Omniglot has 2,441

    def prepare(self, raw: Any) -> Tensor:
        return torch.stack([self._fixed((image > 0).nonzero().float()) for image in raw]).flatten(1)

    def _fixed(self, ink: Tensor) -> Tensor:
        ink = ink - ink.mean(0)
        if len(ink) > self.points:
            return ink[torch.linspace(0, len(ink) - 1, self.points).round().long()]
        return F.pad(ink, (0, 0, 0, self.points - len(ink)), value=torch.nan)


@encoders.register("raw_text")
class RawText(Raw):
    """The count of each trigram of characters, hashed to 1,024 bins (Weinberger et al., 2009)."""

    modality = "text"
    distance = "cosine"
    bins = 1024

    def prepare(self, raw: Sequence[str]) -> Tensor:
        return torch.stack([self._counts(f" {text.lower()} ") for text in raw])

    def _counts(self, text: str) -> Tensor:
        trigrams = (text[i : i + 3] for i in range(max(1, len(text) - 2)))
        hashed = torch.tensor([zlib.crc32(t.encode()) % self.bins for t in trigrams])
        return hashed.bincount(minlength=self.bins).float()


@encoders.register("raw_audio")
class RawAudio(Raw):
    """A log-mel spectrogram of 64 frames × 40 bands, flattened, NaN after the end.

    Longer sounds are averaged to 64 frames. The mean of each band over the clip is subtracted, as
    is usual for speech (Atal, 1974).
    """

    modality = "audio"
    distance = "dtw"
    has_gaps = True
    mels, hop, frames = FRAME, 320, 64  # hop in samples: 20 ms

    def prepare(self, raw: Any) -> Tensor:
        spectra = log_mel_of(clips(raw), self.mels, self.hop, CPU)
        spectra = scaled(spectra - spectra.nanmean(1, keepdim=True))
        return torch.stack([self._fixed(s[~s[:, 0].isnan()]) for s in spectra]).flatten(1)

    def _fixed(self, spectrum: Tensor) -> Tensor:
        if len(spectrum) > self.frames:
            return F.adaptive_avg_pool1d(spectrum.T, self.frames).T
        return F.pad(spectrum, (0, 0, 0, self.frames - len(spectrum)), value=torch.nan)


@encoders.register("raw_video")
class RawVideo(Raw):
    """Eight evenly spaced grey frames of 16×16 pixels, flattened (``[n, 2048]``); shorter videos
    repeat frames.
    """

    modality = "video"
    distance = "cosine"
    frames, size = 8, 16

    def prepare(self, raw: Any) -> Tensor:
        parts = [as_input(evenly(v, self.frames), self.size, CPU, colour=False) for v in raw]
        at = [torch.linspace(0, len(p) - 1, self.frames).round().long() for p in parts]
        return torch.stack([p[i].flatten() for p, i in zip(parts, at, strict=True)])


@encoders.register("raw_strokes")
class RawStrokes(Raw):
    """64 points along the ink, centred and scaled: x and y of each (``[n, 128]``)."""

    modality = "strokes"
    distance = "modified_hausdorff"
    points = 64

    def prepare(self, raw: Any) -> Tensor:
        return resampled(raw, self.points)[..., :2].flatten(1)


@encoders.register("raw_features")
class RawFeatures(Raw):
    """A vector as it is, or a sequence resampled to 20 steps, flattened: longer sequences are
    averaged, and shorter ones repeat steps.
    """

    modality = "features"
    distance = "cosine"
    steps = 20

    def prepare(self, raw: Any) -> Tensor:
        x = as_tensor(raw)
        if x.ndim == 2:
            return x.nan_to_num(0)
        steps = (~x.isnan().all(-1)).sum(1).clamp_min(1).tolist()
        parts = [
            F.adaptive_avg_pool1d(s[:n].nan_to_num(0).T, self.steps).T
            for s, n in zip(x, steps, strict=True)
        ]
        return torch.stack(parts).flatten(1)
