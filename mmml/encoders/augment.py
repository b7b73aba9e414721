"""Random augmentation of training images, and fixed views for test-time augmentation."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.errors import require


class Augment(nn.Module):
    """Shift, rotate, scale and shear images: at random in training mode, a different warp for each
    image.

    Args:
        amount: strength of the warps; 0 is none, 1 reaches ±3 pixels of 32, ±10°, ±15 % size and
            ±0.15 shear.
        option: config path of ``amount``, for error messages.
        elastic: strength of an elastic deformation (Simard, Steinkraus and Platt, 2003): the
            largest shift of the points of a 4×4 grid, as a share of half the image; pixels between
            them move along. 0 is none.
        hflip: whether half of the training images are mirrored from left to right.
        edge_darkening: in half of the training images edges are darkened, by at most this share: 1
            is black, 0 is none.

    Attributes:
        view: the number of the fixed warp in evaluation mode, the same for all images; 0 is none.
            With ``hflip``, odd views are mirrored, and view 1 is only mirrored.
    """

    def __init__(
        self,
        amount: float,
        option: str = "encoder.image.augment",
        elastic: float = 0.0,
        hflip: bool = False,
        edge_darkening: float = 0.0,
    ):
        super().__init__()
        require(
            0 <= edge_darkening <= 1, "encoder.image.edge_darkening", edge_darkening, "from 0 to 1"
        )
        self.edge_darkening = edge_darkening
        require(0 <= amount <= 2, option, amount, "from 0 to 2")
        require(0 <= elastic <= 0.5, "encoder.image.elastic", elastic, "from 0 to 0.5")
        self.amount, self.elastic, self.hflip, self.view = amount, elastic, hflip, 0

    @property
    def warps(self) -> bool:
        """Whether images are warped or mirrored at all."""
        return self.amount > 0 or self.elastic > 0 or self.hflip

    def forward(self, images: Tensor) -> Tensor:
        """Augment images ``[n, C, H, W]``; the shape stays the same."""
        if self.training:
            images = self._warped(
                outlined(images, self.edge_darkening) if self.edge_darkening else images, None
            )
            return (
                mirrored(images, torch.rand(len(images), device=images.device) < 0.5)
                if self.hflip
                else images
            )
        warp, odd = divmod(self.view, 2) if self.hflip else (self.view, 0)
        images = self._warped(images, torch.Generator().manual_seed(warp)) if warp else images
        return images.flip(-1) if odd else images

    def _warped(self, images: Tensor, alike: torch.Generator | None) -> Tensor:
        """Warp each image differently, or all images alike if a generator ``alike`` is given."""
        if not self.amount and not self.elastic:
            return images
        n = len(images)
        u = drawn(n, (6,), alike, images.device) * self.amount
        angle, shear = u[:, 0] * 0.17, u[:, 1] * 0.15
        scale_x, scale_y = (1 + 0.15 * u[:, 2]), (1 + 0.15 * u[:, 3])
        cos, sin = angle.cos(), angle.sin()
        theta = torch.stack(
            [
                cos * scale_x,
                (shear - sin) * scale_y,
                u[:, 4] * 0.19,
                sin * scale_x,
                cos * scale_y,
                u[:, 5] * 0.19,
            ],
            dim=1,
        ).view(n, 2, 3)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        if self.elastic:
            moved = drawn(n, (2, 4, 4), alike, images.device) * self.elastic
            field = F.interpolate(moved, images.shape[-2:], mode="bicubic", align_corners=True)
            grid = grid + field.permute(0, 2, 3, 1)
        return F.grid_sample(images, grid, align_corners=False)


def outlined(images: Tensor, amount: float) -> Tensor:
    """Darken the edges of half of the images ``[n, C, H, W]`` in [0, 1], each by a random share of
    at most ``amount``.

    Some artists draw outlines and others do not. An edge is the difference between a 3×3 dilation
    and a 3×3 erosion.
    """
    grey = images.mean(1, keepdim=True)
    edges = F.max_pool2d(grey, 3, 1, 1) + F.max_pool2d(-grey, 3, 1, 1)
    dark = amount * torch.rand(len(images), 1, 1, 1, device=images.device)
    chosen = torch.rand(len(images), 1, 1, 1, device=images.device) < 0.5
    return images * (1 - dark * chosen * (2.5 * edges).clamp(0, 1))


def mirrored(images: Tensor, which: Tensor) -> Tensor:
    """Mirror the images of ``[n, C, H, W]`` for which ``which``, bool ``[n]``, is true, from left
    to right.
    """
    return torch.where(which.view(-1, 1, 1, 1), images.flip(-1), images)


def drawn(
    n: int, shape: tuple[int, ...], alike: torch.Generator | None, device: torch.device
) -> Tensor:
    """Return random numbers from −1 to 1, ``[n, *shape]``: different in each of the n rows, or the
    same in all rows if a generator ``alike`` is given.
    """
    if alike is None:
        return torch.rand(n, *shape, device=device) * 2 - 1
    return (torch.rand(*shape, generator=alike) * 2 - 1).to(device).expand(n, *shape)


def augments(module: nn.Module) -> list[Augment]:
    """Return the augmentations inside a module that change images."""
    return [m for m in module.modules() if isinstance(m, Augment) and m.warps]


@contextmanager
def seen_as(module: nn.Module, view: int) -> Iterator[None]:
    """Within this context, a module in evaluation mode gets its images in the given view."""
    found = augments(module)
    for augment in found:
        augment.view = view
    try:
        yield
    finally:
        for augment in found:
            augment.view = 0
