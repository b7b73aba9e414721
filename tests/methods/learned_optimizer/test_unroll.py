"""The inner loop and its pieces."""

import gc

import pytest
import torch

from mmml.errors import UserError
from mmml.methods.learned_optimizer.unroll import InnerState, Unroll, descend, divergence, start
from tests.methods.learned_optimizer.making import arrive, make_rule

UNROLL = {
    "inner_steps": 4,
    "truncation_length": None,
    "first_order": True,
    "step_loss_weights": "last",
    "curriculum": 0.0,
}
STATEFUL = ["momentum", "adam", "lstm", "rnnprop", "meta_lstm"]


def unrolled(**changed) -> Unroll:
    return Unroll(**UNROLL | changed)


def square(params, step):
    return params["x"].square().sum(1)


def first(requires_grad=True):
    return {"x": torch.tensor([[1.0, -2.0], [0.5, 3.0]], requires_grad=requires_grad)}


def tensors(point: InnerState):
    return [*point.params.values(), *(t for part in point.state.values() for t in part.values())]


def slope(point: InnerState, by: torch.Tensor):
    """Of the sum of squares; None where nothing leads there."""
    loss = square(point.params, 0).sum()
    return torch.autograd.grad(loss, by, allow_unused=True)[0] if loss.requires_grad else None


def test_reproduces_the_published_code_of_learning_to_learn():
    """``testResults`` of Andrychowicz et al.'s meta_test.py, which they say has the numbers
    of their Torch code.

    f(x) = x², x = 1; the optimizer is linear in the gradient and zero at first; two unrolls of five
    steps, x carried on, each followed by a step of Adam on the sum of f (their sum includes f at
    the start of an unroll, a constant). What they print of the second is its end.
    """
    rule = make_rule("lstm-0", preprocess="none", output_scale=1.0)
    for p in rule.parameters():
        torch.nn.init.zeros_(p)
    adam = torch.optim.Adam(rule.parameters(), lr=0.01)
    unroll = unrolled(inner_steps=10, truncation_length=5, step_loss_weights="uniform")
    point = start({"x": torch.ones(1, 1)}, rule)
    for segment in unroll.segments(1.0):
        losses = []
        for reached, _ in descend(square, point, rule, segment, unroll.first_order):
            point = reached
            losses.append(square(point.params, 0))
        adam.zero_grad()
        (len(losses) * unroll.meta_loss(losses, segment)).sum().backward()
        adam.step()
        point = point.detached()
    assert point.params["x"].item() == pytest.approx(0.8559, abs=1e-4)
    assert square(point.params, 0).item() == pytest.approx(0.7325327, abs=1e-4)


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize("first_order", [True, False])
@pytest.mark.parametrize("name", STATEFUL)
def test_pieces_cut_gradients_and_nothing_else(name, first_order, connected):
    rule, params = make_rule(name), first()
    point = start(params, rule)
    full = arrive(descend(square, point, rule, range(4), first_order, connected), point)
    middle = arrive(descend(square, point, rule, range(2), first_order, connected), point)
    assert any(t.requires_grad for t in middle.params.values())
    cut = middle.detached()
    assert not any(t.requires_grad or t.grad_fn for t in tensors(cut))
    assert all(torch.equal(a, b) for a, b in zip(tensors(middle), tensors(cut), strict=True))
    end = arrive(descend(square, cut, rule, range(2, 4), first_order, connected), cut)
    assert all(torch.equal(a, b) for a, b in zip(tensors(full), tensors(end), strict=True))
    assert slope(full, params["x"]).abs().sum() > 0 and slope(end, params["x"]) is None


def test_a_state_is_carried_on_from_piece_to_piece():
    rule = make_rule("adam")
    point = start(first(), rule)
    for piece in (range(2), range(2, 4)):
        point = arrive(descend(square, point, rule, piece, first_order=True), point).detached()
    assert point.state["count"][""].item() == 4


@pytest.mark.parametrize("first_order", [True, False])
@pytest.mark.parametrize("name", STATEFUL)
def test_without_gradients_nothing_is_kept(name, first_order):
    rule, params = make_rule(name), first()
    with torch.no_grad():
        for point, losses in descend(square, start(params, rule), rule, range(3), first_order):
            assert not any(t.requires_grad or t.grad_fn for t in (*tensors(point), losses))
    recorded = start(params, rule)
    recorded = arrive(descend(square, recorded, rule, range(3), first_order), recorded)
    assert all(torch.equal(a, b) for a, b in zip(tensors(point), tensors(recorded), strict=True))


def size(loss):
    """The number of nodes of a graph."""
    visited, rest = set(), [loss.grad_fn]
    while rest:
        node = rest.pop()
        if node not in visited and node is not None:
            visited.add(node)
            rest += [n for n, _ in node.next_functions]
    return len(visited)


def held() -> int:
    gc.collect()
    return sum(type(o) is torch.Tensor for o in gc.get_objects())


@pytest.mark.parametrize("first_order", [True, False])
@pytest.mark.parametrize("name", ["adam", "lstm"])
def test_memory_is_flat_in_the_number_of_unrolls(name, first_order):
    rule, sizes, counts = make_rule(name), [], []
    point = start(first(), rule)
    for i in range(30):
        for reached, _ in descend(square, point, rule, range(i, i + 1), first_order):
            point = reached
        loss = square(point.params, 0).sum()
        if loss.requires_grad:
            sizes.append(size(loss))
            loss.backward()
        point = point.detached()
        counts += [held()] if i in (3, 29) else []
    assert len(set(sizes[2:])) <= 1
    assert counts[0] == counts[1]


def test_losses_are_told_from_before_each_step():
    rule = make_rule("sgd", inner_lr=0.25)  # x halves at each step
    point = start(first(), rule)
    yielded = [losses for _, losses in descend(square, point, rule, range(3), first_order=True)]
    assert torch.allclose(
        torch.stack(yielded), torch.tensor([[5.0, 9.25], [1.25, 2.3125], [0.3125, 0.578125]])
    )
    assert not yielded[0].requires_grad


@pytest.mark.parametrize("first_order", [True, False])
def test_connected_losses_are_followed_back(first_order):
    rule, params = make_rule("learned_lr", {"x": torch.zeros(2)}, inner_lr=0.25), first()
    point = start(params, rule)
    _, last = list(descend(square, point, rule, range(2), first_order, connected=True))[-1][1]
    (gradient,) = torch.autograd.grad(last, params["x"])
    # x₁ = x − α · 2x: the slope of x₁² is 2 x₁ (1 − 2α), or 2 x₁ where the gradient is a constant
    assert torch.allclose(gradient[1], params["x"][1] * (1.0 if first_order else 0.5))


def test_the_objective_is_told_the_number_of_the_step():
    rule, steps_taken = make_rule("sgd"), []
    point = start(first(), rule)
    arrive(
        descend(
            lambda p, t: (steps_taken.append(t), square(p, t))[1],
            point,
            rule,
            range(4, 7),
            first_order=True,
        ),
        point,
    )
    assert steps_taken == [4, 5, 6]


@pytest.mark.parametrize(
    ("options", "progress", "lengths"),
    [
        ({"inner_steps": 10}, 0.0, [10]),
        ({"inner_steps": 10, "truncation_length": 5}, 0.0, [5, 5]),
        ({"inner_steps": 11, "truncation_length": 5}, 0.0, [5, 5, 1]),
        ({"inner_steps": 3, "truncation_length": 2}, 1.0, [2, 1]),
        ({"inner_steps": 5, "truncation_length": 4}, 0.5, [4, 1]),
        ({"inner_steps": 20, "truncation_length": 5, "curriculum": 0.5}, 0.0, [5]),
        ({"inner_steps": 20, "truncation_length": 5, "curriculum": 0.5}, 0.2, [5, 5]),
        ({"inner_steps": 20, "truncation_length": 5, "curriculum": 0.5}, 0.5, [5, 5, 5, 5]),
        ({"inner_steps": 20, "truncation_length": 5, "curriculum": 0.5}, 1.0, [5, 5, 5, 5]),
        ({"inner_steps": 11, "truncation_length": 2, "curriculum": 1.0}, 1.0, [2, 2, 2, 2, 2, 1]),
        ({"inner_steps": 20, "curriculum": 0.5}, 0.0, [20]),
    ],
)
def test_pieces_of_an_unroll(options, progress, lengths):
    segments = unrolled(**options).segments(progress)
    assert [len(s) for s in segments] == lengths
    assert [t for s in segments for t in s] == list(range(sum(lengths)))


def test_a_curriculum_rounds_to_the_nearest_number_of_pieces():
    unroll = unrolled(inner_steps=10, truncation_length=2, curriculum=1.0)
    found = {
        progress: len(unroll.segments(progress))
        for progress in (0.0, 0.1, 0.2, 0.3, 0.45, 0.7, 0.95, 1.0)
    }
    assert found == {0.0: 1, 0.1: 1, 0.2: 2, 0.3: 2, 0.45: 3, 0.7: 4, 0.95: 5, 1.0: 5}


@pytest.mark.parametrize(
    ("weights", "segment", "expected"),
    [
        ("last", range(4), 4.0),
        ("uniform", range(4), 2.5),
        ("linear", range(4), (1 * 1 + 2 * 2 + 3 * 3 + 4 * 4) / 10),
        ("linear", range(4, 6), (5 * 1 + 6 * 2) / 11),
    ],
)
def test_weights_of_the_meta_loss(weights, segment, expected):
    losses = [torch.tensor([float(i), 10.0 * i]) for i in range(1, len(segment) + 1)]
    got = unrolled(step_loss_weights=weights).meta_loss(losses, segment)
    assert torch.allclose(got, torch.tensor([expected, 10 * expected]))
    assert unrolled(step_loss_weights=weights).meta_loss(
        [x[0] for x in losses], segment
    ).item() == pytest.approx(expected)


def test_divergence_is_told_with_task_step_and_rate():
    losses = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, torch.inf], [torch.nan, 2.0, torch.nan]])
    assert (
        divergence(list(losses[:1]), 4, make_rule("sgd")) is None
        and divergence([], 0, make_rule("sgd")) is None
    )
    message = divergence(list(losses), 4, make_rule("sgd", inner_lr=0.5))
    assert (
        "of task 2 diverged: its loss is inf before step 6 at method.update_rule.inner_lr=0.5;"
        in message
    )
    message = divergence(list(losses[2:]), 0, make_rule("lstm"))
    assert "of task 0 diverged: its loss is nan before step 1; a smaller" in message


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("inner_steps", 0),
        ("step_loss_weights", "first"),
        ("curriculum", 1.5),
        ("curriculum", -0.5),
        ("truncation_length", 0),
        ("truncation_length", 5),
    ],
)
def test_wrong_options_are_named(option, value):
    with pytest.raises(UserError, match=rf"method\.{option}={value} must be"):
        unrolled(**{option: value})
