"""Meta-gradients: they are those of finite differences, they reach every parameter,
and they are numbers.
"""

import pytest
import torch
from torch.nn import functional as F

from mmml.methods.learned_optimizer.unroll import descend, start
from mmml.methods.learned_optimizer.update_rules import UpdateRule
from tests.methods.learned_optimizer.making import (
    GENTLE,
    IMAGES,
    NAMES,
    ONE_EACH,
    RULES,
    Replay,
    arrive,
    episodes,
    make,
    make_rule,
    numbers,
    tiny,
)

H = 1e-4
# With a head of class means nothing is zero for reasons of symmetry; scores need none of that.
MEANS = {"adapt": "head", "task": "classification", "init": "prototype"}
SCORES = {"adapt": "head", "task": "regression", "init": "learned"}
ENCODER = {"adapt": "all", "task": "regression", "init": "learned"}
CASES = [
    *[(rule, setting) for rule in RULES for setting in (MEANS, SCORES)],
    *[(rule, ENCODER) for rule in (*ONE_EACH, "lstm-both")],
]


def meta_loss(learner, batch):
    (loss,) = learner.losses(batch, 1.0)
    return loss


def playing(rule: str, setting: dict, **changed):
    """A learner in double precision whose rule is far from its start, a batch, and all
    that can be learned.
    """
    full = setting["adapt"] == "all"
    learner = make(
        tiny(), **GENTLE | {"head_scale": 2.0, "inner_lr": 0.1} | RULES[rule] | setting | changed
    ).double()
    for p in learner.optimizer.parameters():
        p.data += 0.3 * torch.randn_like(p)
    batch = numbers(encoded=not full)
    leaves = {n: p for n, p in learner.named_parameters() if full or "embedder" not in n}
    if not full:
        leaves |= {
            side: getattr(batch, side).values["image"].requires_grad_()
            for side in ("support", "query")
        }
    return learner, batch, leaves


@torch.no_grad()
def slope(value, at, direction):
    """Of ``value()`` as ``at`` moves along a direction: central differences of fourth order."""
    found = {}
    for k in (-2, -1, 1, 2):
        at += k * H * direction
        found[k] = value().item()
        at -= k * H * direction
    return (8 * (found[1] - found[-1]) - (found[2] - found[-2])) / (12 * H)


@pytest.mark.parametrize("first_order", [True, False])
@pytest.mark.parametrize(
    ("rule", "setting"), CASES, ids=lambda x: x if isinstance(x, str) else "/".join(x.values())
)
def test_meta_gradients_agree_with_finite_differences(rule, setting, first_order):
    """Those of first order agree with the differences where recorded gradients (and
    losses) are constants.
    """
    learner, batch, leaves = playing(rule, setting, first_order=first_order)
    learner.optimizer = replay = Replay(learner.optimizer)
    loss = meta_loss(learner, batch)
    shown = [x for grads, losses in replay.tape for x in (*grads.values(), losses)]
    assert min((x.abs().log() + 10).abs().min() for x in shown) > 0.05  # log_sign has a kink there
    if not first_order:
        learner.optimizer = replay.rule
    gradients = torch.autograd.grad(
        loss, list(leaves.values()), allow_unused=True, materialize_grads=True
    )
    for (name, leaf), gradient in zip(leaves.items(), gradients, strict=True):
        direction = F.normalize(torch.randn_like(leaf), dim=None)
        expected = slope(lambda: meta_loss(learner, batch), leaf, direction)
        assert (gradient * direction).sum().item() == pytest.approx(
            expected, rel=1e-6, abs=3e-11
        ), name


@pytest.mark.parametrize("rule", ["sgd", "adam", "rmsprop", "meta_lstm"])
def test_orders_differ(rule):
    gradients = []
    for first_order in (True, False):
        learner, batch, leaves = playing(rule, SCORES, first_order=first_order)
        gradients.append(
            torch.autograd.grad(meta_loss(learner, batch), leaves["model.head.weight"])[0]
        )
    assert (gradients[0] - gradients[1]).norm() > 1e-3 * gradients[1].norm()


def untouched(learner, loss, least=0.0):
    learner.zero_grad()
    loss.backward()
    return {n for n, p in learner.named_parameters() if p.grad is None or not p.grad.norm() > least}


@pytest.mark.parametrize("first_order", [True, False])
@pytest.mark.parametrize("adapt", ["head", "all"])
@pytest.mark.parametrize("rule", [*ONE_EACH, "lstm-loss", "lstm-0-both"])
def test_every_parameter_learns_in_the_first_step(scored, rule, adapt, first_order):
    learner = make(
        task="regression",
        adapt=adapt,
        first_order=first_order,
        inner_steps=2,
        **GENTLE | {"inner_lr": 1e-3} | RULES[rule],
    )
    lacking = untouched(learner, meta_loss(learner, episodes(scored)))
    assert {n for n in lacking if "text" not in n} == set()


@pytest.mark.parametrize("rule", [*ONE_EACH, "lstm-0-both"])
def test_of_classes_all_but_what_they_share_learns_in_the_first_step(rule):
    """What is added to the outputs of all classes alike, softmax takes away: such as one number
    to all coordinates.
    """
    learner, batch, leaves = playing(
        rule, MEANS | {"init": "learned"}, inner_steps=2, first_order=False
    )
    lacking = untouched(learner, meta_loss(learner, batch), least=1e-12) & leaves.keys()
    assert lacking == (
        {"optimizer.lstm.output.bias"} if RULES[rule]["update_rule"] == "lstm" else set()
    )


@pytest.mark.parametrize("adapt", ["head", "all"])
@pytest.mark.parametrize(
    "changed",
    [{"first_order": False}, {"first_order": True, "init": "prototype"}],
    ids=["order 2", "class means"],
)
def test_encoders_of_the_support_side_learn_too(samples, adapt, changed):
    learner = make(update_rule="sgd", adapt=adapt, **changed)
    lacking = untouched(learner, meta_loss(learner, episodes(samples, [NAMES])), least=1e-6)
    assert {n for n in lacking if "head" not in n} == set()


def test_mappings_weigh_alike(samples):
    learner = make()
    both = meta_loss(learner, episodes(samples, [IMAGES, NAMES]))
    each = [meta_loss(learner, episodes(samples, [m])) for m in (IMAGES, NAMES)]
    assert torch.allclose(both, torch.stack(each).mean())


def barely_used(params, step):
    """The loss depends on ``used``; not on ``idle``; and ``dead`` is multiplied by
    an input that is 0.
    """
    return (params["used"].square() + params["used"] * params["dead"] * 0.0).sum(1)


@pytest.mark.parametrize("first_order", [True, False])
@pytest.mark.parametrize("name", RULES)
def test_a_parameter_that_the_loss_does_not_touch_makes_no_nan(name, first_order):
    first = {
        n: torch.full((2, 3), v, requires_grad=True)
        for n, v in (("used", 1.0), ("idle", 2.0), ("dead", 3.0))
    }
    rule: UpdateRule = make_rule(name, {n: p[0].detach() for n, p in first.items()})
    point = start(first, rule)
    last = arrive(descend(barely_used, point, rule, range(3), first_order), point).params
    sum(p.square().sum() for p in last.values()).backward()
    for tensor in (
        *last.values(),
        *(p.grad for p in first.values()),
        *(p.grad for p in rule.parameters()),
    ):
        assert torch.isfinite(tensor).all()
    assert not torch.equal(last["used"], first["used"])
    assert torch.equal(last["idle"], first["idle"]) and torch.equal(last["dead"], first["dead"])
