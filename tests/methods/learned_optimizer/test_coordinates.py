"""What coordinate-wise rules remember of each coordinate: their LSTM, step after step,
and what was ever touched.
"""

import pytest
import torch
from torch.nn import functional as F

from mmml.methods.learned_optimizer.update_rules.coordinates import CoordinateLSTM, Observation
from tests.methods.learned_optimizer.making import make_rule


@torch.no_grad()
@pytest.mark.parametrize("layers", [1, 2])
def test_the_lstm_is_that_of_torch_step_after_step(layers):
    """Hidden and memory of every layer, each of two tasks with two coordinates,
    three steps in a row.
    """
    torch.manual_seed(0)
    lstm, features = CoordinateLSTM(3, 4, layers, outputs=2), torch.randn(3, 2, 2, 3)
    state = lstm.init(torch.zeros(2, 2))
    known = [(torch.zeros(4, 4), torch.zeros(4, 4)) for _ in lstm.cells]
    for x in features:
        out, state = lstm(x, state)
        shown = x.flatten(0, 1)
        for i, cell in enumerate(lstm.cells):
            known[i] = cell(shown, known[i])
            shown = known[i][0]
            assert torch.allclose(state[f"h{i}"].T, known[i][0], atol=1e-6)
            assert torch.allclose(state[f"c{i}"].T, known[i][1], atol=1e-6)
        assert torch.allclose(out.flatten(0, 1), lstm.output(shown), atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("name", ["lstm", "rnnprop", "meta_lstm"])
def test_every_rule_carries_its_lstm_on(name):
    rule, params = make_rule(name), {"x": torch.zeros(1, 2)}
    state, found = rule.init(params), []
    for _ in range(3):
        _, state = rule.update({"x": torch.tensor([[0.3, -2.0]])}, state, params, torch.ones(1))
        found.append(state["lstm"])
    for key in found[0]:  # of equal gradients: what differs is what was remembered
        assert not torch.allclose(found[0][key], found[1][key], rtol=1e-3), key
        assert not torch.allclose(found[1][key], found[2][key], rtol=1e-3), key


@pytest.mark.parametrize("inputs", ["gradient", "loss", "moments"])
def test_what_once_had_a_gradient_goes_on_moving(inputs):
    """Momentum, for one, moves a coordinate whose gradient is zero for a step."""
    observation, state = Observation(inputs, "none", 0.5, 0.5), None
    for gradient, touched in (
        ([0, 1, 0], [0, 1, 0]),
        ([0, 0, 2], [0, 1, 1]),
        ([0, 0, 0], [0, 1, 1]),
    ):
        grads = {"x": torch.tensor([gradient], dtype=torch.float32)}
        _, state = observation.see(grads, torch.ones(1), state or observation.init(grads))
        assert state["touched"][""].tolist() == [[bool(t) for t in touched]]


@torch.no_grad()
def test_rnnprop_is_the_published_equation():
    """Section 4.2: the moments through a linear layer and ELU to the LSTM; the step is rate · tanh
    of what it says.
    """
    rule = make_rule("rnnprop", inner_lr=0.2, beta1=0.5, beta2=0.5)
    torch.nn.init.normal_(rule.input.weight)
    params, memory = {"x": torch.zeros(1, 2)}, (torch.zeros(2, 3), torch.zeros(2, 3))
    layers = [memory for _ in rule.lstm.cells]
    state, means, squares = rule.init(params), torch.zeros(2), torch.zeros(2)
    for t, gradient in enumerate(torch.tensor([[1.0, -3.0], [-2.0, 0.5]]), 1):
        means, squares = 0.5 * means + 0.5 * gradient, 0.5 * squares + 0.5 * gradient.square()
        size = (squares / (1 - 0.5**t)).sqrt()
        shown = F.elu(
            rule.input(torch.stack([means / (1 - 0.5**t) / size, gradient / size], dim=-1))
        )
        for i, cell in enumerate(rule.lstm.cells):
            layers[i] = cell(shown, layers[i])
            shown = layers[i][0]
        updates, state = rule.update({"x": gradient[None]}, state, params, torch.ones(1))
        assert torch.allclose(updates["x"], 0.2 * rule.lstm.output(shown).T.tanh(), atol=1e-6)
