"""Small pictures for the report: of images, sounds, videos, strokes and features."""

import base64
import io
from typing import Any
from urllib.parse import quote

import numpy as np

SIDE = 96  # pixels of a thumbnail's longer side
ORDER = ("image", "video", "strokes", "audio", "features")  # best one to show a sample first
COLOUR = "#3a6fd8"


def picture(modality: str, value: Any) -> dict[str, Any]:
    """Return ``{"image": data URI, "ink": whether it may be inverted on a dark page}``; for a video
    also ``face``, one frame.

    Args:
        modality: of the value, one of ``ORDER``.
        value: a raw value of a dataset, see :class:`mmml.encoders.Encoder`.
    """
    array = np.asarray(value)
    if modality == "image":
        return (
            {"image": ink(array), "ink": True}
            if array.ndim == 2
            else {"image": thumbnail(array), "ink": False}
        )
    if modality == "video":
        frames = array[np.linspace(0, len(array) - 1, 4).round().astype(int)]
        film = thumbnail(np.concatenate(list(frames), axis=2), SIDE * 3)
        return {"image": film, "face": thumbnail(array[len(array) // 2]), "ink": False}
    if modality == "strokes":
        return {"image": drawing(array), "ink": False}
    if modality == "audio":
        return {"image": waveform(array), "ink": False}
    return {"image": heat(array), "ink": False}


def ink(image: np.ndarray) -> str:
    """Return a grey image ``[H, W]`` as a PNG of black ink whose opacity is the pixel value."""
    from PIL import Image

    page = Image.new("LA", image.shape[::-1])
    page.putalpha(Image.fromarray(image))
    return _png(page)


def thumbnail(image: np.ndarray, side: int = SIDE) -> str:
    """Return an image ``[C, H, W]``, uint8, as a PNG whose longer side is at most ``side``."""
    from PIL import Image

    page = Image.fromarray(image[0] if len(image) == 1 else np.moveaxis(image, 0, -1))
    page.thumbnail((side, side))
    return _png(page)


def drawing(strokes: np.ndarray) -> str:
    """Return pen strokes ``[points, 4]`` as an SVG of lines."""
    xy = strokes[:, :2] - strokes[:, :2].min(0)
    xy = xy / max(float(xy.max()), 1e-9) * 90 + 5
    parts = [xy[strokes[:, 3] == s] for s in np.unique(strokes[:, 3])]
    lines = "".join(
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in part)}"/>' for part in parts
    )
    return _svg(
        100,
        100,
        f'<g fill="none" stroke="{COLOUR}" stroke-width="4" stroke-linecap="round">{lines}</g>',
    )


def waveform(clip: np.ndarray, bars: int = 48) -> str:
    """Return a sound ``[samples]`` as an SVG of its loudness over time."""
    peaks = [float(np.abs(part).max(initial=0)) for part in np.array_split(clip, bars)]
    top = max(*peaks, 1e-6)
    body = "".join(
        f'<rect x="{i * 4}" y="{20 - 18 * p / top:.1f}" width="3" '
        f'height="{max(1.0, 36 * p / top):.1f}"/>'
        for i, p in enumerate(peaks)
    )
    return _svg(bars * 4, 40, f'<g fill="{COLOUR}">{body}</g>')


def heat(features: np.ndarray, columns: int = 48) -> str:
    """Return a vector, or a sequence of vectors, as a grey PNG (a heat map)."""
    from PIL import Image

    rows = np.atleast_2d(features)[:, : columns * 8]
    low, high = np.percentile(rows, (2, 98))
    scaled = np.clip((rows - low) / max(float(high - low), 1e-9) * 255, 0, 255).astype(np.uint8)
    page = Image.fromarray(scaled).resize(
        (SIDE * 2, max(12, min(SIDE, len(rows) * 6))), Image.Resampling.NEAREST
    )
    return _png(page)


def _png(page: Any) -> str:
    buffer = io.BytesIO()
    page.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _svg(width: int, height: int, body: str) -> str:
    page = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">{body}</svg>'
    return "data:image/svg+xml," + quote(page)
