"""What the decoders share: limits, the error, and files opened so that no other error escapes."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from mmml.data.media.length import promised
from mmml.errors import UserError, require

VERSION = 2  # raised when a file gives another array than before; part of cache keys
MAX_FRAME_PIXELS = 8192 * 4320  # 8K: what FFmpeg may be asked to decode at once


@dataclass(frozen=True)
class Limits:
    """How media become canonical arrays, and how large these may get; sizes, rates and
    times are positive.

    Attributes:
        image_side: pixels; a larger image is shrunk (antialiased) so that its longer side is this.
        image_range: which values of more than 8 bits become 0 and 255: ``full`` (all that 16 bits
            hold), ``each`` (the least and the greatest of each picture), or two numbers.
        image_background: ``white`` or ``black``, which is seen where a picture is transparent.
        audio_rate: Hz, to which mono audio is resampled.
        audio_seconds: what is longer is cut off.
        audio_channel: from 0; None for the mean of all.
        video_frames: chosen evenly over the clip; all of them if it has fewer.
        video_side: pixels; larger frames are shrunk so that their longer side is this.
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
    """What is wrong with a file's content, in one sentence without its path."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file, read-only and unbuffered; whatever goes wrong inside becomes a :class:`MediaError`.

    The file object has a number for a name, so that no decoder can go by the extension. Warnings
    are silenced meanwhile, in the whole process: decode in processes, not in threads.

    Raises:
        MediaError: also if the file is missing, not an ordinary one, empty or cut short.
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
        except Exception as error:  # decoders raise all kinds for bad content
            raise MediaError(f"it cannot be decoded: {_reason(error)}") from error


@contextmanager
def demuxed(file: BinaryIO, kind: str, formats: str) -> Iterator[tuple[Any, Any]]:
    """The file's PyAV container and its first stream of a kind.

    Args:
        file: read from its beginning, left open.
        kind: ``audio`` or ``video``.
        formats: FFmpeg's names of the containers to try, comma-separated; others (playlists) may
            name further files, which FFmpeg would open.
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
            if stream.disposition & av.stream.Disposition.attached_pic:  # cover art is no video
                continue
            if stream.codec_context is None:
                raise MediaError(f"no decoder is known for its {kind}")
            yield container, stream
            return
        raise MediaError(f"it has no {kind} in it")


def _open(path: Path) -> BinaryIO:
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for ever
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
