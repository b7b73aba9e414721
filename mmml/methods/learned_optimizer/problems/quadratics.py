"""``problem=quadratics``: ‖Wθ − y‖² with random W and y."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples
from mmml.errors import require
from mmml.methods.learned_optimizer.problems.base import Family, Problems, generator, problems
from mmml.methods.learned_optimizer.update_rules import Params


class Quadratics(Problems):
    """``f(θ) = ‖Wθ − y‖²``.

    Args:
        weights: W, ``[B, d, d]``.
        targets: y, ``[B, d]``.
        start: θ₀, ``[B, d]``.
    """

    def __init__(self, weights: Tensor, targets: Tensor, start: Tensor):
        self.weights, self.targets, self.start = weights, targets, start

    def initial(self) -> Params:
        return {"theta": self.start}

    def losses(self, params: Params, step: int) -> Tensor:
        rest = torch.baddbmm(
            self.targets.unsqueeze(-1), self.weights, params["theta"].unsqueeze(-1), beta=-1
        )
        return rest.square().sum((-2, -1))


@problems.register("quadratics")
class QuadraticFamily(Family):
    """Quadratics whose W, y and θ₀ are standard normal (Andrychowicz et al., 2016, section 3.1).

    Args:
        dimensions: of θ (10 as published).
    """

    name = "quadratics"

    def __init__(self, dimensions: int):
        require(dimensions > 0, "problem.dimensions", dimensions, "a positive whole number")
        self.dimensions = dimensions

    def template(self) -> Params:
        return {"theta": torch.zeros(self.dimensions)}

    def draw(
        self,
        numbers: Iterable[int],
        seed: int,
        split: str,
        samples: Samples | None,
        device: torch.device,
    ) -> Problems:
        d = self.dimensions
        made = [
            generator(seed, split, 0, i).standard_normal((d, d + 2), np.float32) for i in numbers
        ]
        drawn = torch.from_numpy(np.stack(made)).to(device)
        return Quadratics(drawn[..., :d], drawn[..., d], drawn[..., d + 1])
