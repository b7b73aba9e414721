"""Update rules by their published equations, and by other implementations."""

import math
import re

import pytest
import torch
from torch import nn

from mmml.errors import UserError
from mmml.methods.learned_optimizer.unroll import descend, start
from mmml.methods.learned_optimizer.update_rules import update_rules
from mmml.methods.learned_optimizer.update_rules.coordinates import Observation, log_and_sign
from tests.methods.learned_optimizer.making import ONE_EACH, RULES, arrive, make_rule

E10 = math.exp(10)


class Quadratic:
    """Two problems of three unknowns, each with a curvature of its own."""

    def __init__(self, factor=1.0):
        generator = torch.Generator().manual_seed(5)
        root = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
        self.curvature = factor * (root @ root.mT)
        self.start = {"x": torch.randn(2, 3, generator=generator, dtype=torch.float64)}

    def __call__(self, params, step):
        return ((self.curvature @ params["x"].unsqueeze(-1)).squeeze(-1) * params["x"]).sum(1) / 2

    def end(self, rule, steps=10):
        point = start(self.start, rule)
        with torch.no_grad():
            return arrive(descend(self, point, rule, range(steps), first_order=True), point).params[
                "x"
            ]


@pytest.mark.parametrize(
    ("name", "options", "reference"),
    [
        ("sgd", {"inner_lr": 0.1}, lambda p: torch.optim.SGD(p, 0.1)),
        (
            "momentum",
            {"inner_lr": 0.03, "momentum": 0.9},
            lambda p: torch.optim.SGD(p, 0.03, momentum=0.9),
        ),
        (
            "nesterov",
            {"inner_lr": 0.03, "momentum": 0.9},
            lambda p: torch.optim.SGD(p, 0.03, momentum=0.9, nesterov=True),
        ),
        (
            "rmsprop",
            {"inner_lr": 0.1, "decay": 0.95},
            lambda p: torch.optim.RMSprop(p, 0.1, alpha=0.95),
        ),
        (
            "adam",
            {"inner_lr": 0.1, "beta1": 0.8, "beta2": 0.99},
            lambda p: torch.optim.Adam(p, 0.1, betas=(0.8, 0.99)),
        ),
        (
            "adam",
            {"inner_lr": 0.1, "beta1": 0.0, "beta2": 0.99},
            lambda p: torch.optim.Adam(p, 0.1, betas=(0.0, 0.99)),
        ),
    ],
)
def test_rules_by_hand_are_those_of_torch(name, options, reference):
    """Theirs have ε beside the root, ours inside of it too: squared, far below the eighth digit."""
    problem, rule = Quadratic(), make_rule(name, **options)
    x = nn.Parameter(problem.start["x"].clone())
    optimizer = reference([x])
    for _ in range(10):
        optimizer.zero_grad()
        problem({"x": x}, 0).sum().backward()
        optimizer.step()
    assert torch.allclose(problem.end(rule), x, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["adam", "rmsprop", "rnnprop"])
def test_the_size_of_an_objective_says_nothing(name):
    rule = make_rule(name).double()
    with torch.no_grad():
        assert torch.allclose(Quadratic(1e4).end(rule), Quadratic().end(rule), rtol=1e-6)
        assert not torch.allclose(Quadratic().end(rule), Quadratic().start["x"])


@pytest.mark.parametrize("name", RULES)
def test_problems_do_not_mix(name):
    problem = Quadratic()
    rule = make_rule(name, {"x": torch.zeros(3)}).double()
    both = problem.end(rule, 4)
    for b in range(2):
        alone = Quadratic()
        alone.curvature = problem.curvature[b : b + 1]
        alone.start = {"x": problem.start["x"][b : b + 1]}
        assert torch.allclose(alone.end(rule, 4), both[b : b + 1], rtol=1e-10)


def updates_of(rule, steps, *columns):
    """What a rule adds to each coordinate, where these are its gradients at every step."""
    params = {name: torch.zeros(1, column.numel()) for name, column in columns}
    state, found = rule.init(params), []
    for _ in range(steps):
        updates, state = rule.update(
            {n: c.view(1, -1) for n, c in columns}, state, params, torch.ones(1)
        )
        found.append(torch.cat(list(updates.values()), dim=1))
    return torch.stack(found)


@pytest.mark.parametrize("name", ["lstm", "rnnprop", "meta_lstm"])
def test_coordinates_share_weights_and_have_states_of_their_own(name):
    rule, gradients = make_rule(name), torch.tensor([0.3, -0.2, 0.05, 1.0])
    full = updates_of(rule, 3, ("a", gradients[:1]), ("b", gradients[1:]))
    order = torch.tensor([2, 0, 3, 1])
    assert torch.allclose(updates_of(rule, 3, ("a", gradients[order])), full[..., order], atol=1e-6)
    assert torch.allclose(updates_of(rule, 3, ("a", gradients[2:3])), full[..., 2:3], atol=1e-6)
    assert not torch.allclose(full[0], full[2])  # what it remembers makes a difference


def test_log_and_sign_is_the_published_formula():
    # appendix A with p = 10: (log|x| / p, sign x) if |x| ≥ e⁻ᵖ, else (−1, eᵖ x)
    x = torch.tensor([1.0, -math.e, math.exp(-5), -1 / E10, 0.5 / E10, -0.25 / E10, 0.0])
    expected = [[0, 1], [0.1, -1], [-0.5, 1], [-1, -1], [-1, 0.5], [-1, -0.25], [-1, 0]]
    assert torch.allclose(log_and_sign(x), torch.tensor(expected), atol=1e-5)
    assert log_and_sign(torch.ones(2, 3)).shape == (2, 3, 2)


def test_log_and_sign_has_the_right_slopes():
    x = torch.tensor([2.0, -0.01, 0.5 / E10, 0.0], requires_grad=True)
    (log,) = torch.autograd.grad(log_and_sign(x)[:, 0].sum(), x)
    (sign,) = torch.autograd.grad(log_and_sign(x)[:, 1].sum(), x)
    assert torch.allclose(log, torch.tensor([0.05, -10.0, 0.0, 0.0]))
    assert torch.allclose(sign, torch.tensor([0.0, 0.0, E10, E10]))


def test_rules_are_shown_what_they_ask_for():
    grads, losses = {"x": torch.tensor([[1.0, 2.0], [3.0, 4.0]])}, torch.tensor([10.0, 20.0])

    def shown(inputs, preprocess="none"):
        observation = Observation(inputs, preprocess, 0.9, 0.9)
        features, _ = observation.see(grads, losses, observation.init(grads))
        assert features.shape[-1] == observation.features
        return features

    assert shown("gradient").squeeze(-1).tolist() == [[1, 2], [3, 4]]
    assert shown("loss").squeeze(-1).tolist() == [[10, 10], [20, 20]]
    both = shown("gradient+loss")
    assert both.tolist() == [[[1, 10], [2, 10]], [[3, 20], [4, 20]]]
    scaled = torch.cat([log_and_sign(both[..., 0]), log_and_sign(both[..., 1])], dim=-1)
    assert torch.equal(shown("gradient+loss", "log_sign"), scaled)
    assert torch.equal(shown("loss+moments", "log_sign")[..., :2], log_and_sign(both[..., 1]))


def test_moments_are_shown_over_the_root_of_the_mean_square():
    observation, one = Observation("moments", "log_sign", 0.5, 0.5), torch.ones(1, 1)
    features, state = observation.see({"x": one}, one[0], observation.init({"x": one}))
    assert torch.allclose(features, torch.ones(1, 1, 2))
    features, _ = observation.see({"x": -2 * one}, one[0], state)
    # mean (1/4 · 1 + 1/2 · −2) / (3/4) = −1, mean square (1/4 · 1 + 1/2 · 4) / (3/4) = 3
    assert torch.allclose(features, torch.tensor([[[-1.0, -2.0]]]) / 3**0.5)


@pytest.mark.parametrize("name", ["lstm-all", "rnnprop", "meta_lstm-moments"])
def test_moments_are_carried_on(name):
    rule, params = make_rule(name, beta1=0.5), {"x": torch.zeros(1, 1)}
    state = rule.init(params)
    for gradient in (1.0, 2.0, 4.0):
        _, state = rule.update({"x": torch.tensor([[gradient]])}, state, params, torch.ones(1))
    assert state["count"][""].item() == 3
    assert state["mean"]["x"].item() == pytest.approx(1 / 8 + 2 / 4 + 4 / 2)


@torch.no_grad()
def test_an_lstm_may_multiply_the_gradient():
    rule = make_rule("lstm-times", output_scale=0.5)
    rule.lstm.output.weight.zero_()
    rule.lstm.output.bias.copy_(torch.tensor([0.1, -0.4]))
    updates = updates_of(rule, 1, ("x", torch.tensor([1.0, -2.0, 0.0])))
    moved = torch.tensor([[[1.0, 1.0, 0.0]]])  # what has no gradient stays where it is
    assert torch.allclose(updates, 0.5 * (0.1 - 0.4 * torch.tensor([[[1.0, -2.0, 0.0]]])) * moved)


def test_every_parameter_has_a_learned_rate_of_its_own():
    rule = make_rule("learned_lr", {"a.b": torch.zeros(1, 2), "c": torch.zeros(2)}, inner_lr=0.5)
    assert sum(p.numel() for p in rule.parameters()) == 4
    rates = list(rule.parameters())
    rates[0].data = torch.tensor([[0.1, -0.2]])
    grads = {
        "a.b": torch.tensor([[[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]]),
        "c": torch.tensor([[1.0, 4.0]]),
    }
    updates, _ = rule.update(grads, {}, grads, torch.zeros(1))
    assert torch.allclose(updates["a.b"], torch.tensor([[[-0.1, 0.2], [-0.2, 0.4], [-0.3, 0.6]]]))
    assert torch.equal(updates["c"], torch.tensor([[-0.5, -2.0]]))


def test_steps_of_rnnprop_are_bounded_by_its_rate():
    rule = make_rule("rnnprop", inner_lr=0.2)
    nn.init.constant_(rule.lstm.output.bias, 100.0)
    assert torch.allclose(updates_of(rule, 1, ("a", torch.tensor([1e6, -1e-6]))), torch.tensor(0.2))


@torch.no_grad()
def gated(theta, previous, forget):
    """A MetaLSTM whose gates see the parameter and their last values alone, by these
    weights and biases.
    """
    rule = make_rule("meta_lstm")
    for p in rule.parameters():
        p.zero_()
    for name, (a, b, bias) in (("input", (theta, previous, -1.0)), ("forget", forget)):
        rule.gates[name].weight[0, -2:] = torch.tensor([a, b])
        rule.gates[name].bias.fill_(bias)
    return rule


def test_the_meta_lstm_is_the_published_equation():
    # i = σ(θ/2 + i₋/4 − 1), f = σ(θ + f₋ − 3), θ ← f θ − i ∇; at first i₋ = 0, f₋ = 1
    rule = gated(0.5, 0.25, (1.0, 1.0, -3.0))
    params = {"x": torch.tensor([[2.0]])}
    state = rule.init(params)
    updates, state = rule.update({"x": torch.tensor([[0.5]])}, state, params, torch.ones(1))
    assert updates["x"].item() == pytest.approx((0.5 - 1) * 2 - 0.5 * 0.5)  # both gates at σ(0)
    updates, _ = rule.update(
        {"x": torch.tensor([[-1.0]])}, state, {"x": torch.tensor([[0.75]])}, torch.ones(1)
    )
    first, forget = 1 / (1 + math.exp(0.5)), 1 / (1 + math.exp(1.75))
    assert updates["x"].item() == pytest.approx((forget - 1) * 0.75 + first)


def test_the_memory_of_the_meta_lstm_begins_at_the_initialisation():
    rule = make_rule("meta_lstm").double()
    for name, bias in (("input", -1e4), ("forget", 1e4)):
        nn.init.zeros_(rule.gates[name].weight)
        nn.init.constant_(rule.gates[name].bias, bias)
    problem = Quadratic()
    first = {"x": problem.start["x"].clone().requires_grad_()}
    point = start(first, rule)
    end = arrive(descend(problem, point, rule, range(4), first_order=True), point).params["x"]
    assert torch.equal(end, first["x"])
    weights = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
    assert torch.equal(torch.autograd.grad((weights * end).sum(), first["x"])[0], weights)


def test_the_meta_lstm_begins_near_gradient_descent():
    update = updates_of(make_rule("meta_lstm", inner_lr=0.1), 1, ("x", torch.tensor([2.0, -1.0])))
    assert torch.allclose(update, torch.tensor([[[-0.2, 0.1]]]), atol=0.02)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        *[(name, "inner_lr", 0.0) for name in ONE_EACH if name != "lstm"],
        ("meta_lstm", "inner_lr", 1.0),
        ("momentum", "momentum", 1.0),
        ("nesterov", "momentum", -0.1),
        ("rmsprop", "decay", 1.0),
        ("adam", "beta1", 1.0),
        ("adam", "beta2", -0.1),
        ("rnnprop", "beta2", 1.0),
        *[(name, "hidden", 0) for name in ("lstm", "rnnprop", "meta_lstm")],
        ("lstm", "layers", -1),
        ("rnnprop", "layers", -1),
        ("lstm", "inputs", "loss+loss"),
        ("rnnprop", "inputs", "gradient+"),
        ("meta_lstm", "inputs", "params"),
        ("lstm", "preprocess", "log"),
        ("lstm", "output_scale", 0.0),
        ("sgd", "inner_lr", "adapt"),
    ],
)
def test_wrong_options_are_named(name, option, value):
    with pytest.raises(UserError, match=re.escape(f"method.update_rule.{option}={value}")):
        make_rule(name, **{option: value})


def test_a_rule_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"method.update_rule.name=adm.*did you mean 'adam'"):
        make_rule("adam", update_rule="adm")


def test_no_rule_goes_untested():
    assert (
        set(update_rules.names())
        == set(ONE_EACH)
        == {options["update_rule"] for options in RULES.values()}
    )
