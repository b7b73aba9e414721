"""The input features of coordinate-wise update rules, and their LSTM.

A coordinate is one number of the model parameters.
"""

import math

import torch
from torch import Tensor, nn

from mmml.errors import require
from mmml.methods.learned_optimizer.update_rules.base import Params, State
from mmml.methods.learned_optimizer.update_rules.moments import EPSILON, Moments

LSTM_COORDINATES = 10_000  # the state and graph of an LSTM have about 400 numbers for each
INPUTS = ("gradient", "loss", "moments")


def flatten(params: Params) -> Tensor:
    """Concatenate parameters ``[B, …]`` to ``[B, n]``, the n coordinates of each model."""
    return torch.cat([p.flatten(1) for p in params.values()], dim=1)


def unflatten(flat: Tensor, like: Params) -> Params:
    """The inverse of :func:`flatten`."""
    parts = flat.split([p[0].numel() for p in like.values()], dim=1)
    return {name: part.view_as(p) for part, (name, p) in zip(parts, like.items(), strict=True)}


def log_and_sign(x: Tensor, p: float = 10.0) -> Tensor:
    """Return two features of similar size for all sizes of x, ``[…]`` → ``[…, 2]`` (Andrychowicz et
    al., 2016, appendix A).

    They are ``(log|x| / p, sign x)`` where ``|x| ≥ e⁻ᵖ``, else ``(−1, eᵖ x)``.
    """
    size = x.abs().clamp_min(math.exp(-p)).log() / p
    direction = (x * math.exp(p)).clamp(-1, 1)
    return torch.stack([size, direction], dim=-1)


class Observation:
    """The input features of a coordinate-wise update rule.

    It also records which coordinates have had a gradient so far. The others must not change,
    whatever the rule outputs for a gradient of zero.

    Args:
        inputs: one or more of these, joined by ``+``: ``gradient``; ``loss``, the loss of the task,
            the same for all coordinates; ``moments``, the running mean of the gradient and the
            gradient itself, both divided by the root of the running mean square (Lv, Jiang and Li,
            2017, equation 5).
        preprocess: of gradient and loss: ``log_sign`` (two features each), or ``none``.
        beta1, beta2: decay of the running means.
    """

    def __init__(self, inputs: str, preprocess: str, beta1: float, beta2: float):
        self.parts = inputs.split("+")
        known = set(self.parts) <= set(INPUTS) and len(set(self.parts)) == len(self.parts)
        require(
            known,
            "method.update_rule.inputs",
            inputs,
            f"one or several of {', '.join(INPUTS)}, joined by +",
        )
        require(
            preprocess in ("log_sign", "none"),
            "method.update_rule.preprocess",
            preprocess,
            "log_sign or none",
        )
        self.preprocess, self.moments = preprocess, Moments(beta1, beta2)

    @property
    def features(self) -> int:
        """The number of features."""
        return sum(
            2 if part == "moments" or self.preprocess == "log_sign" else 1 for part in self.parts
        )

    def init(self, params: Params) -> State:
        """Return the state before the first step."""
        nothing = torch.zeros_like(flatten(params).detach(), dtype=torch.bool)
        return {
            "touched": {"": nothing},
            **(self.moments.init(params) if "moments" in self.parts else {}),
        }

    def see(self, grads: Params, losses: Tensor, state: State) -> tuple[Tensor, State]:
        """Return features ``[B, n, features]`` of gradients ``[B, …]`` and losses ``[B]``, and the
        next state.

        Its entry ``touched``, bool ``[B, n]``, says which coordinates have had a gradient above
        rounding errors so far.
        """
        gradients, shown = flatten(grads), []
        after: State = {
            "touched": {"": state["touched"][""] | (gradients.detach().abs() > EPSILON)}
        }
        for part in self.parts:
            if part == "moments":
                means, roots, memory = self.moments.update(grads, state)
                after |= memory
                size = flatten(roots)
                shown.append(torch.stack([flatten(means) / size, gradients / size], dim=-1))
            else:
                x = gradients if part == "gradient" else losses.unsqueeze(1).expand_as(gradients)
                shown.append(log_and_sign(x) if self.preprocess == "log_sign" else x.unsqueeze(-1))
        return torch.cat(shown, dim=-1), after


class CoordinateLSTM(nn.Module):
    """LSTM layers and a linear layer. All coordinates share the weights, and each has its own
    state.

    Args:
        features: number of input features.
        hidden: units of each layer.
        layers: number of LSTM layers; 0 for the linear layer only.
        outputs: number of outputs for each coordinate.
    """

    def __init__(self, features: int, hidden: int, layers: int, outputs: int = 1):
        super().__init__()
        require(hidden > 0, "method.update_rule.hidden", hidden, "a positive whole number")
        require(layers >= 0, "method.update_rule.layers", layers, "0 or more")
        self.hidden = hidden
        self.cells = nn.ModuleList(
            nn.LSTMCell(features if i == 0 else hidden, hidden) for i in range(layers)
        )
        self.output = nn.Linear(hidden if layers else features, outputs)

    def init(self, coordinates: Tensor) -> Params:
        """Return zeros for each layer, by ``h0``, ``c0``, …, for coordinates ``[B, n]``:
        ``[hidden, B * n]`` each.
        """
        zeros = self.output.weight.new_zeros((self.hidden, coordinates.numel()))
        return {f"{kind}{i}": zeros for i in range(len(self.cells)) for kind in "hc"}

    def forward(self, x: Tensor, state: Params) -> tuple[Tensor, Params]:
        """Return the outputs, ``[B, n, outputs]``, for features ``[B, n, features]``, and the next
        state.
        """
        after: Params = {}
        tasks, shown = len(x), x.to(self.output.weight.dtype).flatten(0, 1).T
        for i, cell in enumerate(self.cells):
            assert isinstance(cell, nn.LSTMCell)
            shown, memory = step_cell(cell, shown, state[f"h{i}"], state[f"c{i}"])
            after |= {f"h{i}": shown, f"c{i}": memory}
        out = torch.addmm(self.output.bias.unsqueeze(1), self.output.weight, shown)
        return out.T.unflatten(0, (tasks, -1)), after


def step_cell(
    cell: nn.LSTMCell, x: Tensor, hidden: Tensor, memory: Tensor
) -> tuple[Tensor, Tensor]:
    """Return hidden state and cell state after one step of an LSTM cell, ``[hidden, m]`` each, from
    columns ``[features, m]``.

    With thousands of coordinates and few units, most time is spent in sigmoids. Here each gate is
    one block of memory, which makes them several times faster.
    """
    bias = (cell.bias_ih + cell.bias_hh).unsqueeze(1)
    gates = torch.addmm(torch.addmm(bias, cell.weight_ih, x), cell.weight_hh, hidden)
    size = cell.hidden_size
    into, forget = gates[: 2 * size].sigmoid().chunk(2)
    memory = forget * memory + into * gates[2 * size : 3 * size].tanh()
    return gates[3 * size :].sigmoid() * memory.tanh(), memory
