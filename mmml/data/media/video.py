"""Video → uint8 ``[T, 3, H, W]``, by PyAV."""

from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mmml.data.media.base import MAX_FRAME_PIXELS, Limits, MediaError, demuxed

CONTAINERS = "asf,avi,flv,gif,matroska,mov,mpeg,mpegts,mpegvideo,ogg"
MAX_FRAMES = 20_000  # in a video: 13 minutes at 25 frames per second
MAX_PIXELS = 20_000_000_000  # in all frames of a video: 9,600 frames of 1920 × 1080


def decode(file: BinaryIO, limits: Limits) -> np.ndarray:
    """Decode frames from the middles of equal parts of the video, upright, at most ``video_side``
    wide and high.

    The parts are equal in frames, not in seconds. All frames are decoded, but only the chosen ones
    are kept.
    """
    packets = _count_packets(file)
    frames, decoded = _choose(file, packets, limits)
    if decoded != packets:  # some packets hold no frame or several; now the number is known
        frames, _ = _choose(file, decoded, limits)
    if not frames:
        raise MediaError("it holds no frames")
    return np.ascontiguousarray(np.stack(frames).transpose(0, 3, 1, 2))


def probe(file: BinaryIO) -> dict[str, float | int | str]:
    """Return seconds, frames (counted as packets, without decoding), width and height in pixels as
    stored.
    """
    frames = _count_packets(file)
    with demuxed(file, "video", CONTAINERS) as (container, stream):
        seconds = (
            container.duration / 1e6
            if container.duration
            else float(frames / (stream.average_rate or 25))
        )
        return {
            "seconds": seconds,
            "frames": frames,
            "width": stream.width,
            "height": stream.height,
        }


def _count_packets(file: BinaryIO) -> int:
    with demuxed(file, "video", CONTAINERS) as (container, stream):
        return sum(packet.size > 0 for packet in container.demux(stream))


def _choose(file: BinaryIO, count: int, limits: Limits) -> tuple[list[NDArray[np.uint8]], int]:
    """Return the chosen frames of a video of ``count`` packets, and its true number of frames."""
    shown = min(count, limits.video_frames)
    wanted = {(2 * i + 1) * count // (2 * shown) for i in range(shown)}
    kept, decoded = [], 0
    with demuxed(file, "video", CONTAINERS) as (container, stream):
        most = _most_frames(stream.width, stream.height)
        size = _fit(stream.width, stream.height, limits.video_side)
        # The size of frames may change within a video.
        stream.codec_context.options = {"max_pixels": str(MAX_FRAME_PIXELS)}
        for decoded, frame in enumerate(container.decode(stream), start=1):
            if max(count, decoded) > most:
                raise MediaError(
                    f"it is too long: more than {most:,} frames of {stream.width} × {stream.height}"
                )
            if decoded - 1 in wanted:
                kept.append(_small(frame, *size))
    return kept, decoded


def _most_frames(width: int, height: int) -> int:
    if not 0 < width * height <= MAX_FRAME_PIXELS:
        raise MediaError(
            f"its frames of {width:,} × {height:,} pixels are not between 1 and "
            f"{MAX_FRAME_PIXELS:,}"
        )
    return min(MAX_FRAMES, MAX_PIXELS // (width * height))


def _fit(width: int, height: int, side: int) -> tuple[int, int]:
    """Return width and height, reduced if necessary so that the longer one is ``side``."""
    scale = min(1, side / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _small(frame: Any, width: int, height: int) -> NDArray[np.uint8]:
    """Return one frame as ``[H, W, 3]``: reduced by averaging, in RGB, and rotated as the file
    says.
    """
    pixels = frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray()
    return np.rot90(pixels, round(frame.rotation / 90))
