"""``method/update_rule=meta_lstm``: an LSTM cell whose cell state is the parameters, with learned
gates.
"""

import torch
from torch import Tensor, nn

from mmml.errors import require
from mmml.methods.learned_optimizer.update_rules.base import Params, State, UpdateRule, update_rules
from mmml.methods.learned_optimizer.update_rules.coordinates import (
    LSTM_COORDINATES,
    CoordinateLSTM,
    Observation,
    flatten,
    unflatten,
)

OPEN = 5.0  # initial bias of the forget gate: 1 / (1 + e⁻⁵) of a parameter is kept


@update_rules.register("meta_lstm")
class MetaLSTM(UpdateRule):
    """Optimization as a model for few-shot learning (Ravi and Larochelle, 2017, equations 2 to 4).

    ``θ ← f ∘ θ − i ∘ ∇``: the input gate i and the forget gate f of each coordinate depend on the
    output of an LSTM layer for gradient and loss, the parameter, and the last value of the gate.
    The initial cell state is the learned initialization of the model.

    Args:
        hidden: units of the LSTM layer below the gates (20 as published).
        inner_lr: initial value of the input gate, between 0 and 1.
        inputs, preprocess, beta1, beta2: the features of the LSTM layer (``gradient+loss`` as
            published), see
            :class:`mmml.methods.learned_optimizer.update_rules.coordinates.Observation`.
    """

    learned = True
    coordinates = LSTM_COORDINATES

    def __init__(
        self,
        hidden: int,
        inner_lr: float,
        inputs: str,
        preprocess: str,
        beta1: float = 0.9,
        beta2: float = 0.999,
    ):
        super().__init__()
        require(
            0 < inner_lr < 1,
            "method.update_rule.inner_lr",
            inner_lr,
            "between 0 and 1: it is what the input gate begins at",
        )
        self.observation = Observation(inputs, preprocess, beta1, beta2)
        self.lstm = CoordinateLSTM(self.observation.features, hidden, 1, outputs=hidden)
        self.gates = nn.ModuleDict({name: nn.Linear(hidden + 2, 1) for name in ("input", "forget")})
        for name, bias in (("input", torch.logit(torch.tensor(inner_lr)).item()), ("forget", OPEN)):
            nn.init.normal_(self.gates[name].weight, std=0.01)  # type: ignore[arg-type]
            nn.init.constant_(self.gates[name].bias, bias)  # type: ignore[arg-type]

    def init(self, params: Params) -> State:
        flat = flatten(params)
        none = self.lstm.output.weight.new_zeros(flat.shape)
        gates = {"input": none, "forget": none + 1}
        return {"lstm": self.lstm.init(flat), "gates": gates, **self.observation.init(params)}

    def update(
        self, grads: Params, state: State, params: Params, losses: Tensor
    ) -> tuple[Params, State]:
        gradients, theta = flatten(grads), flatten(params)
        shown, memory = self.observation.see(grads, losses, state)
        observed, after = self.lstm(shown, state["lstm"])
        gates = {
            name: gate(
                torch.cat(
                    [
                        observed,
                        torch.stack([theta.to(observed.dtype), state["gates"][name]], dim=-1),
                    ],
                    dim=-1,
                )
            )
            .squeeze(-1)
            .sigmoid()
            for name, gate in self.gates.items()
        }
        steps = ((gates["forget"] - 1) * theta - gates["input"] * gradients) * memory["touched"][""]
        return unflatten(steps, params), {"lstm": after, "gates": gates, **memory}
