"""Preprocessing that image encoders share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.errors import require

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue, ITU-R BT.601
CONTRAST = 0.15  # of content with the background, of 1
MARGIN = 0.15  # around content, as a share of it
SMALLEST = 0.35  # side of what is cut out, as a share of the image: a dot stays a dot


class Augment(nn.Module):
    """Shift, rotation, scale and shear of images: in training mode random, for each image its own.

    Args:
        amount: 0 is none; 1 reaches ±3 pixels of 32, ±10°, ±15 % size and ±0.15 shear.
        option: that set it, for messages.
        elastic: how far 4×4 points of each image are moved besides, and what is between them along, at most, as a
            share of half the image (Simard, Steinkraus and Platt, 2003, in a coarse form); 0 is none.

    Attributes:
        view: in evaluation mode, which of the warps that are the same for all images; 0 is none.
    """

    def __init__(self, amount: float, option: str = "encoder.image.augment", elastic: float = 0.0):
        super().__init__()
        require(0 <= amount <= 2, option, amount, "from 0 to 2")
        require(0 <= elastic <= 0.5, "encoder.image.elastic", elastic, "from 0 to 0.5")
        self.amount, self.elastic, self.view = amount, elastic, 0

    @property
    def warps(self) -> bool:
        """Whether it does anything."""
        return self.amount > 0 or self.elastic > 0

    def forward(self, images: Tensor) -> Tensor:
        """``[n, C, H, W]`` → the same shape."""
        if not self.warps or not (self.training or self.view):
            return images
        n, alike = len(images), None if self.training else torch.Generator().manual_seed(self.view)
        u = drawn(n, (6,), alike, images.device) * self.amount
        angle, shear = u[:, 0] * 0.17, u[:, 1] * 0.15
        scale_x, scale_y = (1 + 0.15 * u[:, 2]), (1 + 0.15 * u[:, 3])
        cos, sin = angle.cos(), angle.sin()
        theta = torch.stack(
            [cos * scale_x, (shear - sin) * scale_y, u[:, 4] * 0.19, sin * scale_x, cos * scale_y, u[:, 5] * 0.19],
            dim=1,
        ).view(n, 2, 3)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        if self.elastic:
            moved = drawn(n, (2, 4, 4), alike, images.device) * self.elastic
            field = F.interpolate(moved, images.shape[-2:], mode="bicubic", align_corners=True)
            grid = grid + field.permute(0, 2, 3, 1)
        return F.grid_sample(images, grid, align_corners=False)


def drawn(n: int, shape: tuple[int, ...], alike: torch.Generator | None, device: torch.device) -> Tensor:
    """Random numbers from −1 to 1, ``[n, *shape]``: for each of n its own, or from a generator the same for all."""
    if alike is None:
        return torch.rand(n, *shape, device=device) * 2 - 1
    return (torch.rand(*shape, generator=alike) * 2 - 1).to(device).expand(n, *shape)


def augments(module: nn.Module) -> list[Augment]:
    """Those below that warp at all."""
    return [m for m in module.modules() if isinstance(m, Augment) and m.warps]


@contextmanager
def seen_as(module: nn.Module, view: int) -> Iterator[None]:
    """In evaluation mode, what is below sees images in one of their views."""
    found = augments(module)
    for augment in found:
        augment.view = view
    try:
        yield
    finally:
        for augment in found:
            augment.view = 0


def as_input(images: Any, size: int, device: torch.device, colour: bool, cut: bool = False) -> Tensor:
    """A raw batch of images → float ``[n, 3 if colour else 1, size, size]`` in [0, 1].

    An image that is not square is squeezed into a square; cut it before if that matters.

    Args:
        images: uint8 ``[n, H, W]`` or ``[n, C, H, W]``, or n arrays ``[C, H, W]`` of any sizes; C is 1 or 3.
        size: pixels on each side.
        device: of the result.
        colour: three channels (grey is repeated), or one (colours become their luma).
        cut: to what differs from the background, see :func:`content`.
    """
    if isinstance(images, Tensor):
        return _resized(images.to(device), size, colour, cut)
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, image in enumerate(images):
        alike.setdefault(tuple(image.shape), []).append(i)
    out = torch.empty(len(images), 3 if colour else 1, size, size, device=device)
    for members in alike.values():
        stacked = torch.from_numpy(np.stack([images[i] for i in members]))
        out[members] = _resized(stacked.to(device), size, colour, cut)
    return out


def _resized(images: Tensor, size: int, colour: bool, cut: bool) -> Tensor:
    x = (images.unsqueeze(1) if images.ndim == 3 else images).float() / 255
    if x.shape[1] not in (1, 3):
        raise ValueError(f"images must have 1 or 3 channels, not {x.shape[1]}")
    if x.shape[1] == 3 and not colour:
        x = (x * x.new_tensor(LUMA).view(3, 1, 1)).sum(1, keepdim=True)
    if cut:
        x = _cut(x, size)
    elif x.shape[-2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    return x.expand(-1, 3, -1, -1) if colour else x


def content(images: Tensor) -> Tensor:
    """Where there is something: the box of what differs from the background by more than ``CONTRAST``.

    The background is the median of the outermost pixels; an image without content is kept whole.

    Args:
        images: ``[n, C, H, W]`` in [0, 1].

    Returns:
        left, top, right and bottom of each in pixels, float ``[n, 4]``; the last two are outside.
    """
    edges = [images[..., 0, :], images[..., -1, :], images[..., 0], images[..., -1]]
    background = torch.cat(edges, dim=-1).median(dim=-1).values[..., None, None]
    differs = ((images - background).abs() > CONTRAST).any(dim=1)
    columns, rows = differs.any(dim=1), differs.any(dim=2)
    (left, right), (top, bottom) = _extent(columns), _extent(rows)
    return torch.stack([left, top, right, bottom], dim=1).float()


def _extent(present: Tensor) -> tuple[Tensor, Tensor]:
    """First and one past the last of what is present in each row ``[n, length]``; all where nothing is."""
    present = present | ~present.any(dim=1, keepdim=True)
    return present.int().argmax(dim=1), present.shape[1] - present.flip(1).int().argmax(dim=1)


def _cut(x: Tensor, size: int) -> Tensor:
    """A square around the content of each image, with a margin: ``[n, C, H, W]`` → ``[n, C, size, size]``."""
    left, top, right, bottom = content(x).T
    height, width = x.shape[-2:]
    side = (torch.maximum(right - left, bottom - top) * (1 + MARGIN)).clamp(min=SMALLEST * max(height, width))
    theta = x.new_zeros(len(x), 2, 3)
    theta[:, 0, 0], theta[:, 0, 2] = side / width, (left + right) / width - 1
    theta[:, 1, 1], theta[:, 1, 2] = side / height, (top + bottom) / height - 1
    finer = -(-max(height, width) // size)  # so that no pixel is skipped
    grid = F.affine_grid(theta, [len(x), 1, size * finer, size * finer], align_corners=False)
    return F.avg_pool2d(F.grid_sample(x, grid, padding_mode="border", align_corners=False), finer)
