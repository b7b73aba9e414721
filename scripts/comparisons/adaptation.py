"""Checks of gradients through inner loops, and of update rules."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from comparisons.base import Both, check, numbers
from mmml.methods.learned_optimizer.unroll import descend, start
from mmml.methods.learned_optimizer.update_rules import UpdateRule
from mmml.methods.learned_optimizer.update_rules.hand_designed import hand_designed
from mmml.methods.learned_optimizer.update_rules.learned_lr import LearnedRates

STEPS, RATE = 3, 0.1
LOUD = 1e4  # scale of the loss: makes Adam's ε negligible, which higher adds elsewhere
X = numbers(10, 4)
Y = numbers(10, 2, seed=1)
ASKED = numbers(7, 4, seed=2)
ANSWERS = numbers(7, 2, seed=3)


def network() -> nn.Module:
    """Return a small nonlinear network, always with the same parameters."""
    made = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2)).double()
    for seed, parameter in enumerate(made.parameters()):
        parameter.data = numbers(*parameter.shape, seed=10 + seed) / 2
    return made


def meta_gradient(rule: UpdateRule, first_order: bool = False, scale: float = 1.0) -> Tensor:
    """Return mmml's gradient of the query loss after the inner loop with respect to the initial
    parameters.
    """
    model = network()
    params = {n: p.detach().unsqueeze(0).requires_grad_() for n, p in model.named_parameters()}

    def loss(at: dict[str, Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
        return F.mse_loss(
            functional_call(model, {n: p[0] for n, p in at.items()}, inputs), targets
        ).unsqueeze(0)

    *_, (end, _) = descend(
        lambda at, _: scale * loss(at, X, Y), start(params, rule), rule, range(STEPS), first_order
    )
    by = [*params.values(), *rule.parameters()]
    return flat(torch.autograd.grad(loss(end.params, ASKED, ANSWERS).sum(), by))


def flat(tensors: Any) -> Tensor:
    """Concatenate all numbers."""
    return torch.cat([t.detach().flatten() for t in tensors])


def by_higher(make: Callable[[Any], torch.optim.Optimizer], scale: float = 1.0) -> Tensor:
    """Return the same gradient computed by higher."""
    import higher

    model = network()
    with higher.innerloop_ctx(model, make(model.parameters()), copy_initial_weights=False) as (
        inner,
        optimizer,
    ):
        for _ in range(STEPS):
            optimizer.step(scale * F.mse_loss(inner(X), Y))
        return flat(
            torch.autograd.grad(F.mse_loss(inner(ASKED), ANSWERS), list(model.parameters()))
        )


def by_learn2learn(learner: Any) -> Tensor:
    """Return the same gradient computed by learn2learn."""
    inner = learner.clone()
    for _ in range(STEPS):
        inner.adapt(F.mse_loss(inner(X), Y))
    # The rates of Meta-SGD are first in learn2learn, and last in mmml.
    by = sorted(learner.named_parameters(), key=lambda item: item[0].startswith("lrs"))
    return flat(torch.autograd.grad(F.mse_loss(inner(ASKED), ANSWERS), [p for _, p in by]))


def by_torchopt(make: Callable[[Any], Any], scale: float = 1.0) -> Tensor:
    """Return the same gradient computed by a differentiable optimizer of torchopt."""
    model = network()
    start_at = list(model.parameters())
    optimizer = make(model)
    for _ in range(STEPS):
        optimizer.step(scale * F.mse_loss(model(X), Y))
    return flat(torch.autograd.grad(F.mse_loss(model(ASKED), ANSWERS), start_at))


@check("MAML, second order", "higher")
def _() -> Both:
    return by_higher(lambda p: torch.optim.SGD(p, RATE)), meta_gradient(hand_designed("sgd", RATE))


@check("through momentum", "higher")
def _() -> Both:
    reference = by_higher(lambda p: torch.optim.SGD(p, RATE, momentum=0.9))
    return reference, meta_gradient(hand_designed("momentum", RATE))


@check("through Adam", "higher", tolerance=1e-6)
def _() -> Both:
    reference = by_higher(lambda p: torch.optim.Adam(p, RATE), LOUD)
    return reference, meta_gradient(hand_designed("adam", RATE), scale=LOUD)


@check("MAML, second order", "learn2learn")
def _() -> Both:
    from learn2learn.algorithms import MAML

    return by_learn2learn(MAML(network(), lr=RATE)), meta_gradient(hand_designed("sgd", RATE))


@check("MAML, first order", "learn2learn")
def _() -> Both:
    from learn2learn.algorithms import MAML

    reference = by_learn2learn(MAML(network(), lr=RATE, first_order=True))
    return reference, meta_gradient(hand_designed("sgd", RATE), first_order=True)


@check("Meta-SGD, rates included", "learn2learn", tolerance=1e-6)  # mmml's rates are float32
def _() -> Both:
    from learn2learn.algorithms import MetaSGD

    rule = LearnedRates(RATE)
    rule.fit_to({n: p.detach() for n, p in network().named_parameters()})
    return by_learn2learn(MetaSGD(network(), lr=RATE)), meta_gradient(rule)


@check("MAML, second order", "torchopt")
def _() -> Both:
    import torchopt

    return by_torchopt(lambda m: torchopt.MetaSGD(m, lr=RATE)), meta_gradient(
        hand_designed("sgd", RATE)
    )


@check("through Adam", "torchopt", tolerance=1e-5)  # its bias correction is in float32
def _() -> Both:
    import torchopt

    reference = by_torchopt(lambda m: torchopt.MetaAdam(m, lr=RATE), LOUD)
    return reference, meta_gradient(hand_designed("adam", RATE), scale=LOUD)


@check("through RMSprop", "torchopt", tolerance=1e-6)
def _() -> Both:
    import torchopt

    reference = by_torchopt(lambda m: torchopt.MetaRMSProp(m, lr=RATE, alpha=0.99))
    return reference, meta_gradient(hand_designed("rmsprop", RATE))


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "sgd": lambda p: torch.optim.SGD(p, RATE),
    "momentum": lambda p: torch.optim.SGD(p, RATE, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, RATE, momentum=0.9, nesterov=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, RATE),
    "adam": lambda p: torch.optim.Adam(p, RATE),
}


def steps_of(name: str) -> Both:
    """Return the parameters after some steps of an update rule, by torch and by mmml."""
    model = network()
    before = {n: p.detach().unsqueeze(0).clone() for n, p in model.named_parameters()}
    optimizer = OPTIMIZERS[name](model.parameters())
    for _ in range(STEPS):
        optimizer.zero_grad()
        F.mse_loss(model(X), Y).backward()
        optimizer.step()

    def loss(at: dict[str, Tensor], _: int) -> Tensor:
        return F.mse_loss(functional_call(model, {n: p[0] for n, p in at.items()}, X), Y).unsqueeze(
            0
        )

    rule = hand_designed(name, RATE)
    *_, (end, _) = descend(loss, start(before, rule), rule, range(STEPS), first_order=True)
    return flat(model.parameters()), flat(end.params.values())


for rule_name in OPTIMIZERS:
    check(f"steps of {rule_name}", "torch", tolerance=1e-7)(lambda name=rule_name: steps_of(name))
