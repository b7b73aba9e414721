"""Conversion of raw images to inputs of image encoders."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

LUMA = (0.299, 0.587, 0.114)  # weights of red, green and blue (ITU-R BT.601)
CONTRAST = 0.15  # least difference between content and background, for pixels in [0, 1]
MARGIN = 0.15  # around the content, as a share of its size
SMALLEST = 0.35  # least side of a crop as a share of the image, so that dots stay small


def as_input(
    images: Any, size: int, device: torch.device, colour: bool, crop: bool = False
) -> Tensor:
    """Return a raw batch of images as float ``[n, 3 if colour else 1, size, size]`` in [0, 1].

    An image that is not square is resized without its aspect ratio; crop it before if that matters.

    Args:
        images: uint8 ``[n, H, W]`` or ``[n, C, H, W]``, or n arrays ``[C, H, W]`` of any sizes; C
            is 1 or 3.
        size: pixels on each side.
        device: of the result.
        colour: whether the result has three channels (grey is repeated) or one (the luma of
            colours).
        crop: whether images are first cropped to their content, see :func:`content`.
    """
    if isinstance(images, Tensor):
        return _resized(images.to(device), size, colour, crop)
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, image in enumerate(images):
        alike.setdefault(tuple(image.shape), []).append(i)
    out = torch.empty(len(images), 3 if colour else 1, size, size, device=device)
    for members in alike.values():
        stacked = torch.from_numpy(np.stack([images[i] for i in members]))
        out[members] = _resized(stacked.to(device), size, colour, crop)
    return out


def _resized(images: Tensor, size: int, colour: bool, crop: bool) -> Tensor:
    x = (images.unsqueeze(1) if images.ndim == 3 else images).float() / 255
    if x.shape[1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, not {x.shape[1]}")
    if x.shape[1] == 3 and not colour:
        x = (x * x.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)
    if crop:
        x = _crop(x, size)
    elif x.shape[-2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    return x.expand(-1, 3, -1, -1) if colour else x


def content(images: Tensor) -> Tensor:
    """Return the bounding box of each image's content: the pixels that differ from the background
    by more than ``CONTRAST``.

    The background is the median of the outermost pixels; the box of an image without content is the
    whole image.

    Args:
        images: ``[n, C, H, W]`` in [0, 1].

    Returns:
        left, top, right and bottom in pixels, float ``[n, 4]``; right and bottom are exclusive.
    """
    edges = [images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]]
    background = torch.cat(edges, dim=-1).median(dim=-1).values[..., None, None]
    differs = ((images - background).abs() > CONTRAST).any(dim=1)
    columns, rows = differs.any(dim=1), differs.any(dim=2)
    (left, right), (top, bottom) = _extent(columns), _extent(rows)
    return torch.stack([left, top, right, bottom], dim=1).float()


def _extent(present: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first true position of each row ``[n, length]``, and one past the last; the whole
    row if none is true.
    """
    present = present | ~present.any(dim=1, keepdim=True)
    return present.int().argmax(dim=1), present.shape[1] - present.flip(1).int().argmax(dim=1)


def _crop(x: Tensor, size: int) -> Tensor:
    """Crop each image to a square around its content, with a margin: ``[n, C, H, W]`` →
    ``[n, C, size, size]``.
    """
    left, top, right, bottom = content(x).T
    height, width = x.shape[-2:]
    side = (torch.maximum(right - left, bottom - top) * (1 + MARGIN)).clamp(
        min=SMALLEST * max(height, width)
    )
    theta = x.new_zeros(len(x), 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = side / width, (left + right) / width - 1
    theta[:, 1, 1], theta[:, 1, 2] = side / height, (top + bottom) / height - 1
    finer = -(-max(height, width) // size)  # so that no pixel is skipped
    grid = F.affine_grid(theta, [len(x), 1, size * finer, size * finer], align_corners=False)
    return F.avg_pool2d(F.grid_sample(x, grid, padding_mode="border", align_corners=False), finer)
