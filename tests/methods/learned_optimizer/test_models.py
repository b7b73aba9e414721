"""Heads, and what an inner loop adapts: one head, or whole encoders, all tasks at
once or one by one.
"""

import numpy as np
import pytest
import torch
from torch import nn

from mmml.data.column import Column
from mmml.episodes import Batch, ExampleSet, Mapping
from mmml.errors import UserError
from mmml.methods.learned_optimizer.models import FullModel, per_task
from mmml.methods.learned_optimizer.norm import Statistics
from tests.conftest import MLP
from tests.methods.learned_optimizer.making import (
    CONV,
    DENSE,
    GENTLE,
    IMAGES,
    NAMES,
    RULES,
    Tiny,
    episodes,
    make,
    numbers,
    tiny,
)


@pytest.mark.parametrize("init", ["prototype", "zero"])
def test_the_order_of_classes_does_not_matter(samples, init):
    learner = make(init=init, update_rule="lstm", inner_steps=4).eval()
    support, query = episodes(samples, numbers=[0]).view(IMAGES)
    order = torch.tensor([4, 5, 0, 1, 2, 3])  # classes c, a, b with two shots each
    moved = ExampleSet({"image": support.columns["image"].take(order.numpy())}, support.shapes)
    expected = learner.adapt(support)(query)[..., [2, 0, 1]]
    assert torch.allclose(learner.adapt(moved)(query), expected, atol=1e-4)


# Perceptrons; images; texts, which have a convolution too.
CHOICES = [(MLP, True), (CONV, False), (DENSE, False)]


@pytest.mark.parametrize(("encoder", "at_once"), CHOICES, ids=["dense", "conv", "text"])
def test_how_to_compute_follows_a_rule(encoder, at_once):
    for vectorize, expected in (("auto", at_once), (True, True), (False, False)):
        learner = make(encoder, adapt="all", vectorize=vectorize)
        assert learner.model.vectorize == expected == learner.describe()["vectorize"]
    assert make(encoder, adapt="head").describe()["vectorize"]


def test_how_a_run_computed_is_how_it_goes_on(tmp_path):
    forced, auto = (make(CONV, adapt="all", vectorize=v) for v in (True, "auto"))
    torch.save(forced.state_dict(), tmp_path / "state")
    assert auto.model.vectorize is False
    auto.load_state_dict(torch.load(tmp_path / "state", weights_only=True))
    assert auto.model.vectorize is True
    never = make(CONV, adapt="all", vectorize=False)
    never.load_state_dict(forced.state_dict())
    assert never.model.vectorize is False


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.GRU(3, 3, batch_first=True)

    def forward(self, x):
        return self.cell(x.unsqueeze(1))[0].squeeze(1)


def test_recurrent_layers_are_computed_one_by_one():
    with pytest.raises(
        UserError,
        match=r"method.vectorize=true: encoder.image cannot compute all tasks at once; use auto",
    ):
        make(tiny(Recurrent()), adapt="all", vectorize=True)
    assert make(tiny(Recurrent()), adapt="all").model.vectorize is False


@torch.no_grad()
@pytest.mark.parametrize("adapt", ["head", "all one by one", "all at once"])
@pytest.mark.parametrize("rule", RULES)
def test_tasks_do_not_mix(rule, adapt):
    options = (
        {"adapt": adapt.split()[0], "vectorize": "once" in adapt, "task": "regression"}
        | GENTLE
        | RULES[rule]
    )
    learner = make(tiny(), **options).double()
    together, *alone = (
        learner.adapt(support)(query)
        for episodes in (slice(None), slice(1), slice(1, 2))
        for support, query in [numbers(adapt == "head", episodes).view(IMAGES)]
    )
    assert torch.allclose(together, torch.cat(alone), rtol=1e-9)
    assert not torch.allclose(alone[0], alone[1], rtol=1e-2)


@pytest.mark.parametrize("first_order", [True, False])
@pytest.mark.parametrize("encoder", [DENSE, CONV], ids=["dense", "conv"])
def test_all_at_once_is_one_by_one(samples, encoder, first_order):
    found = []
    for vectorize in (True, False):
        learner = make(
            encoder,
            adapt="all",
            update_rule="sgd",
            first_order=first_order,
            vectorize=vectorize,
            inner_steps=2,
            **GENTLE,
        ).eval()
        (loss,) = learner.losses(episodes(samples, [IMAGES, NAMES]), 1.0)
        loss.backward()
        gradients = [p.grad.flatten() for p in learner.parameters() if p.grad is not None]
        support, query = episodes(samples).view(IMAGES)
        found.append((learner.adapt(support)(query), loss.view(1), torch.cat(gradients)))
    for a, b in zip(*found, strict=True):
        assert torch.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("vectorize", [True, False])
def test_attention_has_a_second_derivative(samples, vectorize):
    """The fused kernels have none; the gradient is that of a first-order one and more."""
    gradients = []
    for first_order in (True, False):
        learner = make(
            DENSE,
            adapt="all",
            update_rule="sgd",
            first_order=first_order,
            vectorize=vectorize,
            init="prototype",
            **GENTLE,
        )
        (loss,) = learner.losses(episodes(samples, [NAMES]), 1.0)
        loss.backward()
        gradients.append({n: p.grad for n, p in learner.named_parameters() if "encoders.text" in n})
    first, second = gradients
    assert all(torch.isfinite(g).all() and g.norm() > 0 for g in second.values())
    assert any(not torch.allclose(second[n], g, rtol=1e-3) for n, g in first.items())


def texts(*values: str, episodes: int = 1) -> ExampleSet:
    flat = np.array(values, dtype=object)
    return ExampleSet(
        {"text": Column(flat)}, {"text": (episodes, 2, len(values) // (2 * episodes))}
    )


@pytest.mark.parametrize("vectorize", [True, False])
def test_texts_of_any_length_stand_on_both_sides(vectorize):
    learner = make(DENSE, adapt="all", update_rule="sgd", vectorize=vectorize, **GENTLE).eval()
    support, query = texts("a", "bc", "one", "two"), texts("something long", "b")
    with torch.no_grad():
        full = learner.adapt(support)(query)
        short = learner.adapt(support)(texts("something long", "b", "c", "d"))
    assert torch.allclose(short[:, :2], full, atol=1e-5)
    text = Mapping.parse("text:text")
    (loss,) = learner.losses(Batch(support, query, (text,)), 1.0)
    assert torch.isfinite(loss)


@torch.no_grad()
def test_every_task_has_a_dropout_of_its_own():
    for vectorize in (True, False):
        kept = per_task(nn.Dropout(0.5), {}, [torch.ones(2, 8, 8)], Statistics.OWN, vectorize) > 0
        assert 30 < kept[0].sum() + kept[1].sum() < 98 and not torch.equal(kept[0], kept[1])


def test_padding_has_no_gradient_in_any_task():
    """Where all are computed at once too."""
    table = nn.Sequential(nn.Embedding(3, 2, padding_idx=0))
    words = torch.tensor([[0, 1], [0, 2]])
    for vectorize in (True, False):
        params = {"0.weight": table[0].weight.detach().expand(2, 3, 2).clone().requires_grad_()}
        found = per_task(table, params, [words], Statistics.OWN, vectorize)
        (gradient,) = torch.autograd.grad(found.sum(), params["0.weight"])
        assert gradient[..., 0].tolist() == [[0, 1, 0], [0, 0, 1]]


def test_only_what_learns_is_fast():
    frozen = tiny()
    assert isinstance(frozen.encoders["image"], Tiny)
    frozen.encoders["image"].layers[0].requires_grad_(False)
    model = make(frozen, adapt="all").model
    assert isinstance(model, FullModel)
    names = {n.removeprefix("encoders.image.layers.") for n in model.template()}
    assert names == {"1.norm.weight", "1.norm.bias", "head.weight", "head.bias"}
