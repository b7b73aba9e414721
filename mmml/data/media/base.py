"""What all decoders use: limits, the error, and opening files so that every error becomes a
``MediaError``.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from mmml.data.media.length import promised
from mmml.errors import UserError, require

VERSION = 2  # part of cache keys; increased when decoding changes
MAX_FRAME_PIXELS = 8192 * 4320  # 8K: the largest frame that FFmpeg may decode


@dataclass(frozen=True)
class Limits:
    """The form and the size of decoded media; sizes, rates and times are positive.

    Attributes:
        image_side: pixels; a larger image is reduced (antialiased) so that its longer side has this
            size.
        image_range: which values of images with more than 8 bits become 0 and 255: ``full`` (the
            range of 16 bits), ``each`` (the smallest and the largest value of each image), or two
            numbers.
        image_background: ``white`` or ``black``, the background of transparent images.
        audio_rate: Hz; audio is resampled to it.
        audio_seconds: longer audio is truncated.
        audio_channel: from 0; None for the mean of all.
        video_frames: number of frames, evenly spaced over the video; a shorter video keeps all of
            its frames.
        video_side: pixels; larger frames are reduced so that their longer side has this size.
    """

    image_side: int = 256
    audio_rate: int = 16000
    audio_seconds: float = 10.0
    video_frames: int = 16
    video_side: int = 112
    image_range: Literal["full", "each"] | Sequence[float] = "full"
    image_background: Literal["white", "black"] = "white"
    audio_channel: int | None = None

    def __post_init__(self) -> None:
        low_high = self.image_range
        pair = not isinstance(low_high, str) and len(low_high) == 2 and low_high[0] < low_high[1]
        require(
            pair or low_high in ("full", "each"),
            "image_range",
            low_high,
            "full, each, or two numbers [low, high]",
        )
        require(
            self.image_background in ("white", "black"),
            "image_background",
            self.image_background,
            "white or black",
        )
        require(
            (self.audio_channel or 0) >= 0,
            "audio_channel",
            self.audio_channel,
            "0 or more, or null for the mean",
        )


class MediaError(UserError):
    """A problem with a file's content, in one sentence without its path."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file, read-only and unbuffered; every error inside the context becomes a
    :class:`MediaError`.

    The file object has a number as its name, so that no decoder can use the suffix. Warnings are
    silenced meanwhile in the whole process, so decode in processes, not in threads.

    Raises:
        MediaError: also if the file is missing, not a regular file, empty or truncated.
    """
    with _open(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _check_length(file)
            yield file
        except MediaError:
            raise
        except MemoryError:
            raise MediaError("it takes more memory than there is") from None
        except Exception as error:  # decoders raise errors of any type for damaged content
            raise MediaError(f"it cannot be decoded: {_reason(error)}") from error


@contextmanager
def demuxed(file: BinaryIO, kind: str, formats: str) -> Iterator[tuple[Any, Any]]:
    """Yield the PyAV container of a file and its first stream of a kind.

    Args:
        file: read from its beginning, left open.
        kind: ``audio`` or ``video``.
        formats: FFmpeg's names of the container formats to try, comma-separated. Playlists must not
            be among them, since they may name other files, which FFmpeg would open.
    """
    import av

    file.seek(0)
    try:
        container = av.open(
            file, options={"format_whitelist": formats, "max_pixels": str(MAX_FRAME_PIXELS)}
        )
    except av.FFmpegError:
        raise MediaError(f"it is damaged, or no {kind} file of a known format") from None
    with container:
        for stream in getattr(container.streams, kind):
            if stream.disposition & av.stream.Disposition.attached_pic:  # a cover image
                continue
            if stream.codec_context is None:
                raise MediaError(f"no decoder is known for its {kind}")
            yield container, stream
            return
        raise MediaError(f"it has no {kind} in it")


def _open(path: Path) -> BinaryIO:
    try:
        if path.exists() and not path.is_file():  # opening a pipe could block forever
            raise MediaError("it is a folder" if path.is_dir() else "it is not an ordinary file")
        return open(os.open(path, os.O_RDONLY), "rb", buffering=0)  # noqa: PTH123
    except (OSError, ValueError) as error:
        raise MediaError(f"it cannot be opened: {_reason(error)}") from None


def _check_length(file: BinaryIO) -> None:
    size, wanted = file.seek(0, os.SEEK_END), promised(file)
    if size == 0:
        raise MediaError("it is empty")
    if size < wanted:
        raise MediaError(f"it is cut short: {size:,} bytes of {wanted:,}")
    file.seek(0)


def _reason(error: Exception) -> str:
    """An error's message on one line."""
    text = getattr(error, "strerror", None) or getattr(error, "error_string", None) or str(error)
    return " ".join(text.split())[:200] or type(error).__name__
