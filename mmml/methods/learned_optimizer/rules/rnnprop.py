"""``rule: rnnprop``: an LSTM on normalised moments, whose steps are bounded, so that it does not drift."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.errors import require
from mmml.methods.learned_optimizer.rules.adam import Moments
from mmml.methods.learned_optimizer.rules.base import Params, State, UpdateRule, rules
from mmml.methods.learned_optimizer.rules.coordinates import LSTM_COORDINATES, CoordinateLSTM, flatten, unflatten


@rules.register("rnnprop")
class RNNProp(UpdateRule):
    """Learning gradient descent (Lv, Jiang and Li, 2017, section 4).

    Each coordinate shows its gradient and its running mean, both over the root of the running
    mean square, so their size says nothing about the objective's; a step is ``rate · tanh(·)``.

    Args:
        rate: the longest step of a coordinate (0.1 as published).
        hidden: units of the input layer and of each LSTM layer (20 as published).
        layers: of the LSTM (2 as published).
        beta1, beta2: of the running means (0.95 as published).
    """

    learned = True
    coordinates = LSTM_COORDINATES

    def __init__(self, rate: float, hidden: int, layers: int, beta1: float, beta2: float):
        super().__init__()
        require(rate > 0, "method.rate", rate, "a positive number")
        self.rate, self.moments = rate, Moments(beta1, beta2)
        self.lstm = CoordinateLSTM(hidden, hidden, layers)
        self.input = nn.Linear(2, hidden)

    def init(self, params: Params) -> State:
        return {"lstm": self.lstm.init(flatten(params)), **self.moments.init(params)}

    def update(self, grads: Params, state: State, params: Params, losses: Tensor) -> tuple[Params, State]:
        means, roots, moments = self.moments.update(grads, state)
        size = flatten(roots)
        seen = torch.stack([flatten(means) / size, flatten(grads) / size], dim=-1)
        out, after = self.lstm(F.elu(self.input(seen)), state["lstm"])
        return unflatten(self.rate * out.squeeze(-1).tanh(), params), {"lstm": after, **moments}
