"""Images → uint8 ``[C, H, W]``, by Pillow."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from mmml.data.media.base import Limits, MediaError

if TYPE_CHECKING:
    from PIL.Image import Image

# Formats such as EPS are left out, since decoding them would run programs.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "PPM", "TIFF", "JPEG2000", "AVIF")
MAX_PIXELS = 100_000_000
# Bytes of a text or a colour profile in a PNG, which Pillow unpacks although they are not used.
MAX_NOTES = 1 << 26
GREY = ("1", "L", "LA", "La")


def decode(file: BinaryIO, limits: Limits) -> np.ndarray:
    """Decode the first image of a file, upright, with its longer side at most ``image_side``.

    Greyscale of more than 8 bits is converted to 8 bits as ``image_range`` says. Transparent parts
    are replaced by ``image_background``; an image that is transparent everywhere is treated as
    opaque. CMYK is converted to RGB without a colour profile.
    """
    side = limits.image_side
    with _opened(file) as image:
        # Large JPEGs are decoded at a reduced size, which is not below the wanted one.
        image.draft(None, (2 * side, 2 * side))
        image.load()
        canvas = _opaque(
            _eight_bits(_upright(image), image.format, limits.image_range), limits.image_background
        )
        canvas.thumbnail((side, side), reducing_gap=None)
        pixels = np.asarray(canvas)
    return np.ascontiguousarray(pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1))


def probe(file: BinaryIO) -> dict[str, float | int | str]:
    """Width and height in pixels as stored, and Pillow's mode."""
    with _opened(file) as image:
        return {"width": image.width, "height": image.height, "mode": image.mode}


@contextmanager
def _opened(file: BinaryIO) -> Iterator["Image"]:
    """Open an image, read its header and check its size."""
    from PIL import Image, PngImagePlugin, UnidentifiedImageError

    PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY = MAX_NOTES, 4 * MAX_NOTES
    try:
        image = Image.open(file, formats=FORMATS)
    except UnidentifiedImageError:
        raise MediaError(
            f"it is damaged, or no image of a known format ({', '.join(FORMATS)})"
        ) from None
    except Image.DecompressionBombError:
        raise MediaError(f"it has more than {MAX_PIXELS:,} pixels") from None
    with image:
        if image.width * image.height > MAX_PIXELS:
            raise MediaError(
                f"it has more than {MAX_PIXELS:,} pixels ({image.width:,} × {image.height:,})"
            )
        yield image


def _upright(image: "Image") -> "Image":
    from PIL import ImageOps

    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged metadata do not damage the image
        return image


def _eight_bits(image: "Image", stored_as: str | None, values: str | Sequence[float]) -> "Image":
    from PIL import Image

    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    pixels = np.asarray(image)
    if values == "full":
        if image.mode == "F" or (image.mode == "I" and stored_as == "TIFF"):
            raise MediaError(
                "its pixels are 32-bit numbers, whose range is not known; image_range=each "
                "takes each picture's"
            )
        return Image.fromarray((pixels >> 8).astype(np.uint8))
    if not np.isfinite(pixels).all():
        raise MediaError("its pixels are not all finite")
    low, high = (
        (float(pixels.min()), float(pixels.max())) if values == "each" else map(float, values)
    )
    shares = (pixels.astype(np.float64) - low) / ((high - low) or 1)
    return Image.fromarray((shares.clip(0, 1) * 255).round().astype(np.uint8))


def _opaque(image: "Image", background: str) -> "Image":
    """Return the image as mode L or RGB, with the background in transparent parts."""
    from PIL import Image

    mode = "L" if image.mode in GREY else "RGB"
    if not image.has_transparency_data:
        return image.convert(mode)
    image = image.convert("LA" if mode == "L" else "RGBA")
    alpha = image.getchannel("A")
    if alpha.getextrema()[1] == 0:  # some files have an unused alpha channel
        return image.convert(mode)
    canvas = Image.new(mode, image.size, background)
    canvas.paste(image.convert(mode), mask=alpha)
    return canvas
