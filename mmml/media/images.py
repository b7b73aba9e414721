"""Images → uint8 ``[C, H, W]``, by Pillow."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mmml.media.base import Limits, MediaError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "PPM", "TIFF")  # others (EPS) run programs
MAX_PIXELS = 100_000_000
GREY = ("1", "L", "LA", "La")


def decode(file: BinaryIO, limits: Limits) -> np.ndarray:
    """The first picture of a file, upright, on white, its longer side at most ``image_side``.

    16-bit grey keeps its upper 8 bits. CMYK becomes RGB without a colour profile.
    """
    side = limits.image_side
    with _opened(file) as image:
        image.draft(None, (2 * side, 2 * side))  # large JPEGs shrink while they are decoded, to no less
        image.load()
        canvas = _on_white(_eight_bits(_upright(image), image.format))
        canvas.thumbnail((side, side), reducing_gap=None)
        pixels = np.asarray(canvas)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def probe(file: BinaryIO) -> dict[str, float | int | str]:
    """Width and height in pixels as stored, and Pillow's mode."""
    with _opened(file) as image:
        return {"width": image.width, "height": image.height, "mode": image.mode}


@contextmanager
def _opened(file: BinaryIO) -> Iterator["Image"]:
    """The image, its header read and its size checked."""
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise MediaError(f"it is damaged, or no image of a known format ({', '.join(FORMATS)})") from None
    except Image.DecompressionBombError:
        raise MediaError(f"it has more than {MAX_PIXELS:,} pixels") from None
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise MediaError(f"it has more than {MAX_PIXELS:,} pixels ({image.width:,} × {image.height:,})")
        yield image


def _upright(image: "Image") -> "Image":
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged notes about an image do not damage the image
        return image


def _eight_bits(image: "Image", stored_as: str | None) -> "Image":
    from PIL import Image

    if image.mode == "F" or (image.mode == "I" and stored_as == "TIFF"):
        raise MediaError("its pixels are 32-bit numbers, whose range is not known")
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def _on_white(image: "Image") -> "Image":
    """As mode L or RGB, what is transparent over white."""
    from PIL import Image

    mode = "L" if image.mode in GREY else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode)
    image = image.convert("LA" if mode == "L" else "RGBA")
    canvas = Image.new(mode, image.size, "white")
    canvas.paste(image.convert(mode), mask=image.getchannel("A"))
    return canvas
