"""Log-mel spectrograms in PyTorch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmml.encoders.sequences import as_float, pad

RATE = 16_000  # samples per second
WINDOW = 400  # samples, 25 ms
FFT = 512  # samples: the window, padded with zeros
FLOOR = 1e-5  # least power in a band; below it is silence
AT_ONCE = 64  # clips transformed at a time, to limit memory


def clips(raw: Any) -> list[Tensor]:
    """Return a raw batch of sounds as float32 tensors ``[samples]``."""
    return [as_float(clip) for clip in raw]


def log_mel_of(sounds: Sequence[Tensor], mels: int, hop: int, device: torch.device) -> Tensor:
    """Return the log-mel spectrograms of sounds ``[samples]`` of any lengths,
    ``[n, frames, mels]``, NaN after the end of each.
    """
    parts = []
    for i in range(0, len(sounds), AT_ONCE):
        some = sounds[i : i + AT_ONCE]
        spectra = log_mel(pad_sequence(list(some), batch_first=True).to(device), mels, hop)
        parts += [s[: frames_of(len(sound), hop)] for s, sound in zip(spectra, some, strict=True)]
    return pad(parts)


def frames_of(samples: int, hop: int) -> int:
    """Return the number of windows that cover a sound; the last may reach beyond its end, where the
    sound is padded with zeros.
    """
    return max(0, -(-(samples - WINDOW) // hop)) + 1


def log_mel(waves: Tensor, mels: int, hop: int) -> Tensor:
    """Return the natural logarithm of the power in each mel band.

    The spectrum has Hann windows of 25 ms. The filters are triangles of height 1, evenly spaced
    from 0 to 8 kHz on the mel scale 2595 log₁₀(1 + f / 700) (Davis and Mermelstein, 1980;
    O'Shaughnessy, 1987, as in HTK).

    Args:
        waves: float ``[n, samples]``, 16 kHz, in [-1, 1].
        mels: number of bands.
        hop: samples from one window to the next.

    Returns:
        ``[n, frames, mels]``, at least log(``FLOOR``).
    """
    wanted = (frames_of(waves.shape[-1], hop) - 1) * hop + WINDOW
    frames = F.pad(waves, (0, wanted - waves.shape[-1])).unfold(-1, WINDOW, hop)
    power = (
        torch.fft.rfft(frames * torch.hann_window(WINDOW, device=waves.device), FFT).abs().square()
    )
    return (power @ mel_filters(mels).to(waves.device)).clamp_min(FLOOR).log()


def mel_filters(mels: int) -> Tensor:
    """Return the weight of each frequency in each band, ``[FFT / 2 + 1, mels]``."""
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    edges = torch.from_numpy(700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1))  # Hz
    frequencies = torch.linspace(0, RATE / 2, FFT // 2 + 1, dtype=torch.float64).unsqueeze(1)
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp_min(0).float()
