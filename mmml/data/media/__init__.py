"""Decoders of media files to arrays: one module per modality, without torch.

The format of a file is found from its content, never from its name. A file that is damaged,
truncated or absurdly large raises a :class:`MediaError`; no file can hang the program, print, or
fill the memory.
"""

from pathlib import Path

import numpy as np

from mmml.data.media import audio, features, images, strokes, video
from mmml.data.media.base import VERSION, Limits, MediaError, opened

_MODULES = {
    "image": images,
    "audio": audio,
    "video": video,
    "strokes": strokes,
    "features": features,
}
FILE_MODALITIES = tuple(_MODULES)

__all__ = ["FILE_MODALITIES", "VERSION", "Limits", "MediaError", "decode", "is_constant", "probe"]


def decode(modality: str, path: Path, limits: Limits) -> np.ndarray:
    """Decode a file to an array of its modality's standard form.

    ========  =======  ===============  ===========================================================
    modality  dtype    shape            values
    ========  =======  ===============  ===========================================================
    image     uint8    [C, H, W]        C = 1 (grey) or 3 (RGB); upright, on ``image_background``
    audio     float32  [samples]        mono in [-1, 1] at ``audio_rate``
    video     uint8    [T, 3, H, W]     RGB frames chosen evenly over the clip
    strokes   float32  [points, 4]      x, y, time, number of the stroke
    features  float32  [width] or       finite
                       [steps, width]
    ========  =======  ===============  ===========================================================

    Args:
        modality: one of ``FILE_MODALITIES``.
        path: an ordinary file.
        limits: limits on the size of the array.

    Raises:
        MediaError: the file cannot be opened, or its content is not of that modality or is damaged.
    """
    with opened(path) as file:
        return _MODULES[modality].decode(file, limits)


def is_constant(modality: str, array: np.ndarray) -> bool:
    """Whether an image, a video or audio has a single value throughout, and so no content."""
    return (
        modality in ("image", "video", "audio")
        and array.size > 0
        and bool((array == array.flat[0]).all())
    )


def probe(modality: str, path: Path) -> dict[str, float | int | str]:
    """Read properties from a file's header; fast, but damage after the header is not noticed.

    ========  ================================
    image     width, height, mode
    audio     seconds, rate, channels
    video     seconds, frames, width, height
    strokes   strokes, points
    features  steps (1 for a vector), width
    ========  ================================

    Sizes are those of the file, before any limit. Raises :class:`MediaError` as ``decode`` does.
    """
    with opened(path) as file:
        return _MODULES[modality].probe(file)
