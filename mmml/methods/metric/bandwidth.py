"""The bandwidth of the weights on support items, where each sample has a target of its own."""

import math

import torch
from torch import Tensor, nn

# It is learned at this rate, times that of other parameters: few steps have to find its
# order of magnitude.
RATE = 10.0
USUAL = 10  # support items at which the power makes no difference


class Bandwidth(nn.Module):
    """What distances are divided by: T · e^(r · (level + power · log(s / 10))) for s support items.

    Its best value falls as items lie closer together (Silverman, 1986, section 4.3), and both
    numbers are learned; at 0, where they begin, it is the loss's temperature T. Beyond the numbers
    of items that training saw it stays as it is there.

    Args:
        learned: else they stay there.
    """

    def __init__(self, learned: bool):
        super().__init__()
        self.level, self.power = (
            nn.Parameter(torch.zeros(()), requires_grad=learned) for _ in range(2)
        )
        self.item_range: Tensor  # the fewest and the most items, 0: none yet
        self.register_buffer("item_range", torch.zeros(2, dtype=torch.int64))

    def forward(self, temperature: Tensor, items: int) -> Tensor:
        """For this temperature and so many support items."""
        fewest, most = self.item_range.tolist()
        if self.training:
            fewest, most = min(fewest or items, items), max(most, items)
            self.item_range.copy_(torch.tensor([fewest, most]))
        known = min(max(items, fewest), most) if most else items
        return temperature * (RATE * (self.level + self.power * math.log(known / USUAL))).exp()
