"""Audio → float32 ``[samples]``, by soundfile, or by PyAV for formats that soundfile lacks or
handles badly (M4A, MP3).
"""

import math
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mmml.data.media.base import Limits, MediaError, demuxed

CONTAINERS = "aac,aiff,amr,asf,avi,flac,flv,matroska,mov,mp3,mpeg,mpegts,ogg,wav"
RATES = (1000, 384_000)  # Hz; the length of the resampling filter grows with these rates
MAX_CHANNELS = 64
BLOCK = 1 << 15  # samples of all channels read at a time
MARGIN = 0.1  # seconds read beyond the end, for the resampling filter

Signal = tuple[int, NDArray[np.float32]]  # rate in Hz, mono samples


def decode(file: BinaryIO, limits: Limits) -> np.ndarray:
    """Decode the first ``audio_seconds`` of one channel, or of the mean of all channels, at
    ``audio_rate``, clipped to [-1, 1].
    """
    seconds = limits.audio_seconds + MARGIN
    rate, signal = _soundfile(file, seconds, limits.audio_channel) or _ffmpeg(
        file, seconds, limits.audio_channel
    )
    if not signal.size:
        raise MediaError("it holds no sound (0 samples)")
    if not np.isfinite(signal).all():
        raise MediaError("it holds samples that are not finite")
    signal = _resample(signal, rate, limits.audio_rate)
    return np.clip(signal[: max(1, round(limits.audio_seconds * limits.audio_rate))], -1, 1)


def probe(file: BinaryIO) -> dict[str, float | int | str]:
    """Return the duration in seconds (0 if the header does not give it), the rate in Hz and the
    number of channels.
    """
    sound = _sound(file)
    if sound:
        with sound:
            return {
                "seconds": sound.frames / sound.samplerate,
                "rate": sound.samplerate,
                "channels": sound.channels,
            }
    with demuxed(file, "audio", CONTAINERS) as (container, stream):
        return {
            "seconds": (container.duration or 0) / 1e6,
            "rate": stream.rate,
            "channels": stream.channels,
        }


def _sound(file: BinaryIO) -> Any:
    """Open the file with soundfile; None if it does not know the format."""
    import soundfile

    file.seek(0)
    head = file.read(3)
    if head == b"ID3" or (head[:1] == b"\xff" and head[1:2] >= b"\xe0"):
        return None  # MP3: soundfile prints decoding errors to stderr
    file.seek(0)
    try:
        return soundfile.SoundFile(file.fileno(), closefd=False)
    except soundfile.LibsndfileError:
        return None


def _soundfile(file: BinaryIO, seconds: float, channel: int | None) -> Signal | None:
    """Read the signal; None if soundfile does not know the format."""
    sound = _sound(file)
    if not sound:
        return None
    with sound:
        _check(sound.samplerate, sound.channels, channel)
        wanted = min(sound.frames, math.ceil(seconds * sound.samplerate))
        blocks = [
            _mono(b.T, channel)
            for b in sound.blocks(BLOCK, frames=wanted, dtype="float32", always_2d=True)
        ]
        return sound.samplerate, np.concatenate([np.zeros(0, np.float32), *blocks])


def _ffmpeg(file: BinaryIO, seconds: float, channel: int | None) -> Signal:
    import av

    with demuxed(file, "audio", CONTAINERS) as (container, stream):
        rate = stream.rate
        _check(rate, stream.channels, channel)
        as_float = av.AudioResampler(format="fltp", rate=rate)
        blocks, missing = [np.zeros(0, np.float32)], math.ceil(seconds * rate)
        for frame in container.decode(stream):
            blocks += [_mono(part.to_ndarray(), channel) for part in as_float.resample(frame)]
            missing -= frame.samples
            if missing <= 0:
                break
        return rate, np.concatenate(blocks)


def _mono(channels: NDArray[Any], channel: int | None) -> NDArray[Any]:
    """Take one channel, or the mean of all if ``channel`` is None: ``[channels, n]`` → ``[n]``."""
    return channels.mean(0) if channel is None else channels[channel]


def _check(rate: int, channels: int, channel: int | None) -> None:
    low, high = RATES
    if not low <= rate <= high:
        raise MediaError(f"its sample rate of {rate:,} Hz is not between {low:,} and {high:,}")
    if not 1 <= channels <= MAX_CHANNELS:
        raise MediaError(f"it has {channels:,} channels, not between 1 and {MAX_CHANNELS}")
    if channel is not None and channel >= channels:
        raise MediaError(f"it has no channel {channel}: its channels are 0 to {channels - 1}")


def _resample(signal: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Resample with a band-limiting filter: ``[n]`` at ``rate`` → ``[⌈n · wanted / rate⌉]`` at
    ``wanted`` (Hz).
    """
    if rate == wanted:
        return signal
    from scipy.signal import resample_poly

    common = math.gcd(rate, wanted)
    return resample_poly(signal, wanted // common, rate // common).astype(np.float32)
