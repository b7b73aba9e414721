"""All coordinates of all parameters as rows of one matrix: what coordinate-wise rules look at, and their LSTM."""

import math

import torch
from torch import Tensor, nn

from mmml.errors import require
from mmml.methods.learned_optimizer.rules.base import Params

LSTM_COORDINATES = 100_000  # of which an LSTM holds some 400 numbers each
INPUTS = ("gradient", "loss", "gradient+loss")


def flatten(params: Params) -> Tensor:
    """``[B, …]`` each → ``[B, n]``, n coordinates of one model."""
    return torch.cat([p.flatten(1) for p in params.values()], dim=1)


def unflatten(flat: Tensor, like: Params) -> Params:
    """The inverse of :func:`flatten`."""
    parts = flat.split([p[0].numel() for p in like.values()], dim=1)
    return {name: part.view_as(p) for part, (name, p) in zip(parts, like.items(), strict=True)}


def log_and_sign(x: Tensor, p: float = 10.0) -> Tensor:
    """``[…]`` → ``[…, 2]``, of like size whatever the size of x (Andrychowicz et al., 2016, appendix A).

    ``(log|x| / p, sign x)`` where ``|x| ≥ e⁻ᵖ``, else ``(−1, eᵖ x)``.
    """
    size = x.abs().clamp_min(math.exp(-p)).log() / p
    direction = (x * math.exp(p)).clamp(-1, 1)
    return torch.stack([size, direction], dim=-1)


def observed(inputs: str, gradients: Tensor, losses: Tensor, preprocess: str) -> Tensor:
    """What a coordinate-wise rule sees: ``[B, n, features]``.

    Args:
        inputs: ``gradient``, ``loss`` or ``gradient+loss``.
        gradients: ``[B, n]``.
        losses: ``[B]``; every coordinate of a task sees the same.
        preprocess: ``log_sign`` (two features for each number) or ``none`` (the number itself).
    """
    shown = {"gradient": gradients, "loss": losses.unsqueeze(1).expand_as(gradients)}
    parts = [shown[name] for name in inputs.split("+")]
    return torch.cat([log_and_sign(x) if preprocess == "log_sign" else x.unsqueeze(-1) for x in parts], dim=-1)


def check_inputs(inputs: str, preprocess: str) -> int:
    """The number of features of :func:`observed`."""
    require(inputs in INPUTS, "method.inputs", inputs, f"one of {', '.join(INPUTS)}")
    require(preprocess in ("log_sign", "none"), "method.preprocess", preprocess, "log_sign or none")
    return len(inputs.split("+")) * (2 if preprocess == "log_sign" else 1)


class CoordinateLSTM(nn.Module):
    """LSTM layers whose weights all coordinates share, while each has a state of its own, then a linear layer.

    Args:
        features: of the input.
        hidden: units of each layer.
        layers: 0 leaves the linear layer alone.
        outputs: numbers for each coordinate.
    """

    def __init__(self, features: int, hidden: int, layers: int, outputs: int = 1):
        super().__init__()
        require(hidden > 0, "method.hidden", hidden, "a positive whole number")
        require(layers >= 0, "method.layers", layers, "0 or more")
        self.hidden = hidden
        self.cells = nn.ModuleList(nn.LSTMCell(features if i == 0 else hidden, hidden) for i in range(layers))
        self.output = nn.Linear(hidden if layers else features, outputs)

    def init(self, coordinates: Tensor) -> Params:
        """Zeros for each layer, by ``h0``, ``c0``, …: ``[B, n]`` → ``[B, n, hidden]`` each."""
        zeros = coordinates.new_zeros((*coordinates.shape, self.hidden))
        return {f"{kind}{i}": zeros for i in range(len(self.cells)) for kind in "hc"}

    def forward(self, x: Tensor, state: Params) -> tuple[Tensor, Params]:
        """``[B, n, features]`` → ``[B, n, outputs]``."""
        after: Params = {}
        shape = x.shape[:2]
        x = x.flatten(0, 1)
        for i, cell in enumerate(self.cells):
            before = tuple(state[f"{kind}{i}"].flatten(0, 1) for kind in "hc")
            x, memory = cell(x, before)
            after |= {f"h{i}": x.unflatten(0, shape), f"c{i}": memory.unflatten(0, shape)}
        return self.output(x).unflatten(0, shape), after
