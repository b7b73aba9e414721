"""Media files for the tests, written by PyAV and by hand."""

import struct
import wave
from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def sine(frequency: float, rate: int, seconds: float = 1.0, amplitude: float = 0.5) -> np.ndarray:
    """``[n]`` float64."""
    return amplitude * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def write_wav(path: Path, samples: np.ndarray, rate: int) -> Path:
    """Samples ``[n]`` or ``[n, channels]`` in [-1, 1] as 16-bit WAV, by the standard library."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())
    return path


def write_m4a(path: Path, samples: np.ndarray, rate: int, container: str = "ipod") -> Path:
    """Samples ``[channels, n]`` as AAC."""
    layout = {1: "mono", 2: "stereo"}[len(samples)]
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream("aac", rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(samples.astype(np.float32), format="fltp", layout=layout)
        frame.sample_rate = rate
        file.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def write_video(
    path: Path,
    frames: np.ndarray,
    codec: str = "ffv1",
    pixels: str = "bgr0",
    container: str = "matroska",
    rotation: int = 0,
    fps: int = 10,
) -> Path:
    """Frames ``[T, H, W, 3]`` uint8 as a clip; the default is lossless."""
    with av.open(str(path), "w", format=container) as file:
        stream = file.add_stream(
            codec, rate=fps, width=frames.shape[2], height=frames.shape[1], pix_fmt=pixels
        )
        stream.codec_context.time_base = Fraction(1, fps)
        if rotation:
            stream.set_display_rotation(rotation)
        for i, pixels_ in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels_, format="rgb24")
            frame.pts = i
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def by_ffmpeg(path: Path) -> np.ndarray:
    """The first picture of a file as FFmpeg decodes it, which shares no code with Pillow:
    ``[H, W, 4]`` RGBA.
    """
    with av.open(str(path)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgba")


def levels(count: int, height: int = 16, width: int = 24) -> np.ndarray:
    """Frames of one grey each, ``[count, height, width, 3]``: frame i is 10 + 5 i."""
    grey = (10 + 5 * np.arange(count)).astype(np.uint8)
    return np.broadcast_to(grey[:, None, None, None], (count, height, width, 3)).copy()


def wav_header(
    rate: int = 8000, channels: int = 1, data: int = 1000, riff: int | None = None, bits: int = 16
) -> bytes:
    """A WAV header that may claim anything."""
    frame = channels * bits // 8
    form = struct.pack(
        "<HHIIHH", 1, channels, rate, (rate * frame) & 0xFFFFFFFF, frame & 0xFFFF, bits
    )
    size = 36 + data if riff is None else riff
    return (
        struct.pack("<4sI4s4sI", b"RIFF", size & 0xFFFFFFFF, b"WAVE", b"fmt ", 16)
        + form
        + struct.pack("<4sI", b"data", data & 0xFFFFFFFF)
    )


def bmp_header(width: int, height: int) -> bytes:
    """The header of a BMP of 24-bit pixels, without pixels."""
    return struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54) + struct.pack(
        "<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0
    )


def npy_header(shape: str, descr: str = "'<f4'", version: bytes = b"\x01\x00") -> bytes:
    """An ``.npy`` header that may claim anything."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY" + version + struct.pack("<H" if version[0] == 1 else "<I", len(text)) + text
