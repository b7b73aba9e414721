"""Preprocessing that image encoders share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.errors import require


class Augment(nn.Module):
    """Random shift, rotation, scale and shear of each image, in training mode only.

    Args:
        amount: 0 is none; 1 reaches ±3 pixels of 32, ±10°, ±15 % size and ±0.15 shear.
    """

    def __init__(self, amount: float):
        super().__init__()
        require(0 <= amount <= 2, "encoder.image.augment", amount, "from 0 to 2")
        self.amount = amount

    def forward(self, images: Tensor) -> Tensor:
        """``[n, C, H, W]`` → the same shape."""
        if not self.training or self.amount == 0:
            return images
        n = len(images)
        u = (torch.rand(n, 6, device=images.device) * 2 - 1) * self.amount
        angle, shear = u[:, 0] * 0.17, u[:, 1] * 0.15
        scale_x, scale_y = (1 + 0.15 * u[:, 2]), (1 + 0.15 * u[:, 3])
        cos, sin = angle.cos(), angle.sin()
        theta = torch.stack(
            [cos * scale_x, (shear - sin) * scale_y, u[:, 4] * 0.19, sin * scale_x, cos * scale_y, u[:, 5] * 0.19],
            dim=1,
        ).view(n, 2, 3)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)


def as_input(images: Tensor, size: int, device: torch.device) -> Tensor:
    """uint8 ``[n, H, W]`` → float ``[n, 1, size, size]`` in [0, 1], resized if need be."""
    x = images.to(device).unsqueeze(1).float() / 255
    if x.shape[-2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    return x
