"""``method/update_rule=lstm``: an LSTM that maps the gradient of each coordinate to its update."""

from torch import Tensor

from mmml.errors import require
from mmml.methods.learned_optimizer.update_rules.base import Params, State, UpdateRule, update_rules
from mmml.methods.learned_optimizer.update_rules.coordinates import (
    LSTM_COORDINATES,
    CoordinateLSTM,
    Observation,
    flatten,
    unflatten,
)


@update_rules.register("lstm")
class LSTMRule(UpdateRule):
    """Learning to learn by gradient descent by gradient descent (Andrychowicz et al., 2016, section
    2.1).

    Args:
        hidden: units of each layer (20 as published).
        layers: number of LSTM layers (2 as published); 0 for a linear function of the input.
        inputs, preprocess, beta1, beta2: its input features (``gradient`` as published), see
            :class:`mmml.methods.learned_optimizer.update_rules.coordinates.Observation`.
        output_scale: factor of its outputs (0.1 as published).
        gradient_output: whether the LSTM has a second output, which is multiplied by the gradient
            and added to the first. Then steps shrink with the gradient, as in gradient descent.
    """

    learned = True
    coordinates = LSTM_COORDINATES

    def __init__(
        self,
        hidden: int,
        layers: int,
        inputs: str,
        preprocess: str,
        output_scale: float,
        gradient_output: bool = False,
        beta1: float = 0.9,
        beta2: float = 0.999,
    ):
        super().__init__()
        require(
            output_scale > 0, "method.update_rule.output_scale", output_scale, "a positive number"
        )
        self.observation = Observation(inputs, preprocess, beta1, beta2)
        self.output_scale = output_scale
        self.lstm = CoordinateLSTM(
            self.observation.features, hidden, layers, outputs=2 if gradient_output else 1
        )

    def init(self, params: Params) -> State:
        return {"lstm": self.lstm.init(flatten(params)), **self.observation.init(params)}

    def update(
        self, grads: Params, state: State, params: Params, losses: Tensor
    ) -> tuple[Params, State]:
        observed, memory = self.observation.see(grads, losses, state)
        out, after = self.lstm(observed, state["lstm"])
        steps = (
            out[..., 0] + out[..., 1] * flatten(grads) if out.shape[-1] == 2 else out.squeeze(-1)
        )
        steps = self.output_scale * steps * memory["touched"][""]
        return unflatten(steps, params), {"lstm": after, **memory}
