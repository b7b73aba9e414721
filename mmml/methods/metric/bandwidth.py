"""The bandwidth of the weights of support items, for tasks in which each sample has its own
target.
"""

import math

import torch
from torch import Tensor, nn

# Factor of its learning rate relative to other parameters: few steps must find its
# order of magnitude.
RATE = 10.0
USUAL = 10  # number of support items at which the power has no effect


class Bandwidth(nn.Module):
    """The divisor of distances: T · e^(r · (level + power · log(s / 10))) for s support items.

    The best bandwidth is smaller if items are closer together (Silverman, 1986, section 4.3), so
    ``level`` and ``power`` are learned. Both start at 0, where the divisor is the temperature T of
    the loss. For numbers of items outside the range of training, s is clipped to this range. r is
    ``RATE``.

    Args:
        learned: whether ``level`` and ``power`` are trained.
    """

    def __init__(self, learned: bool):
        super().__init__()
        self.level, self.power = (
            nn.Parameter(torch.zeros(()), requires_grad=learned) for _ in range(2)
        )
        self.item_range: Tensor  # smallest and largest number of items in training, 0 before
        self.register_buffer("item_range", torch.zeros(2, dtype=torch.int64))

    def forward(self, temperature: Tensor, items: int) -> Tensor:
        """Return the divisor for a temperature and a number of support items."""
        fewest, most = self.item_range.tolist()
        if self.training:
            fewest, most = min(fewest or items, items), max(most, items)
            self.item_range.copy_(torch.tensor([fewest, most]))
        known = min(max(items, fewest), most) if most else items
        return temperature * (RATE * (self.level + self.power * math.log(known / USUAL))).exp()
