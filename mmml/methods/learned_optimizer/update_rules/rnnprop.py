"""``method/update_rule=rnnprop``: an LSTM on normalised moments, with bounded steps."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmml.methods.learned_optimizer.update_rules.base import (
    Params,
    State,
    UpdateRule,
    check_lr,
    update_rules,
)
from mmml.methods.learned_optimizer.update_rules.coordinates import (
    LSTM_COORDINATES,
    CoordinateLSTM,
    Observation,
    flatten,
    unflatten,
)


@update_rules.register("rnnprop")
class RNNProp(UpdateRule):
    """Learning gradient descent (Lv, Jiang and Li, 2017, section 4): steps are
    ``inner_lr · tanh(·)``.

    Args:
        inner_lr: the largest step of a coordinate (0.1 as published).
        hidden: units of the input layer and of each LSTM layer (20 as published).
        layers: number of LSTM layers (2 as published).
        inputs, preprocess, beta1, beta2: its input features (``moments`` with 0.95 and 0.95 as
            published, so that the scale of the objective does not matter), see
            :class:`mmml.methods.learned_optimizer.update_rules.coordinates.Observation`.
    """

    learned = True
    coordinates = LSTM_COORDINATES

    def __init__(
        self,
        inner_lr: float,
        hidden: int,
        layers: int,
        beta1: float,
        beta2: float,
        inputs: str = "moments",
        preprocess: str = "log_sign",
    ):
        super().__init__()
        check_lr(inner_lr)
        self.inner_lr, self.observation = inner_lr, Observation(inputs, preprocess, beta1, beta2)
        self.lstm = CoordinateLSTM(hidden, hidden, layers)
        self.input = nn.Linear(self.observation.features, hidden)

    def init(self, params: Params) -> State:
        return {"lstm": self.lstm.init(flatten(params)), **self.observation.init(params)}

    def update(
        self, grads: Params, state: State, params: Params, losses: Tensor
    ) -> tuple[Params, State]:
        observed, memory = self.observation.see(grads, losses, state)
        out, after = self.lstm(
            F.elu(self.input(observed.to(self.input.weight.dtype))), state["lstm"]
        )
        steps = self.inner_lr * out.squeeze(-1).tanh() * memory["touched"][""]
        return unflatten(steps, params), {"lstm": after, **memory}
