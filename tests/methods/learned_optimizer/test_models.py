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
from mmml.methods.learned_optimizer.heads import heads
from mmml.methods.learned_optimizer.models import FullModel, per_task
from mmml.methods.learned_optimizer.norm import Statistics
from mmml.tasks import tasks
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

CLASSES = tasks.build("classification", {}, "task")
SCORES = tasks.build("regression", {}, "task")
EMBEDDED = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(0))
SLOTS = torch.tensor([[0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 2]])


def make_head(init, width=4, scale=1.7, ways=3, form="label"):
    return heads.build(form, {}, "method", width=width, init=init, scale=scale, ways=ways)


def test_a_head_is_a_scaled_linear_function():
    head = make_head("zero", 2, 3.0)
    params = {
        "head.weight": torch.tensor([[[1.0, 2.0], [0.0, -1.0]]]),
        "head.bias": torch.tensor([[0.5, 0.0]]),
    }
    got = head({n: p.double() for n, p in params.items()}, torch.tensor([[[1.0, 1.0], [2.0, 0.0]]]))
    assert torch.allclose(got, 3 * torch.tensor([[[3.5, -1.0], [2.5, 0.0]]], dtype=torch.float64))
    assert head.scale.item() == pytest.approx(3.0)


def test_a_head_of_class_means_compares_with_them():
    head = make_head("prototype")
    params = head.initial(EMBEDDED, SLOTS, 3)
    means = torch.stack(
        [
            torch.stack([x[s == c].mean(0) for c in range(3)])
            for x, s in zip(EMBEDDED, SLOTS, strict=True)
        ]
    )
    expected = (-1.7 * torch.cdist(EMBEDDED, means).square()).log_softmax(-1)
    assert torch.allclose(CLASSES.decode(head(params, EMBEDDED)).float(), expected, atol=1e-4)


def test_a_head_of_scores_begins_at_their_mean():
    head, scores = make_head("prototype", form="scalar"), torch.arange(12.0).view(2, 6)
    params = head.initial(EMBEDDED, scores, 1)
    means = torch.tensor([[2.5], [8.5]], dtype=torch.float64)
    assert torch.allclose(SCORES.decode(head(params, EMBEDDED)), means.expand(2, 6))


def test_a_learned_head_has_a_row_for_each_label_slot():
    head = make_head("learned").eval()
    params = head.initial(EMBEDDED, SLOTS, 3)
    assert params["head.weight"].shape == (2, 3, 4) and params["head.bias"].shape == (2, 3)
    assert (
        torch.equal(params["head.weight"][1], head.weight.double())
        and len({*head.weight[:, 0].tolist()}) == 3
    )
    sum(p.sum() for p in params.values()).backward()
    assert head.weight.grad.eq(2).all() and head.bias.grad.eq(2).all()
    assert {n for n, _ in make_head("zero").named_parameters()} == {"log_scale"}


def test_an_episode_of_fewer_classes_takes_some_of_the_learned_rows():
    """In training at random, so that all are learned; afterwards always the same, so that nothing
    is left to chance.
    """
    head = make_head("learned", ways=5)
    torch.manual_seed(0)
    taken = [head.initial(None, SLOTS, 2)["head.weight"] for _ in range(40)]
    rows = [
        [head.weight.double().eq(w).all(-1).nonzero().item() for w in several]
        for t in taken
        for several in t
    ]
    assert all(len(set(two)) == 2 for two in rows) and {r for two in rows for r in two} == set(
        range(5)
    )
    assert len({tuple(two) for two in rows}) == 20
    head.eval()
    assert torch.equal(head.initial(None, SLOTS, 2)["head.weight"][1], head.weight[:2].double())


def test_all_rows_are_taken_in_order_where_the_number_of_classes_is_fixed():
    head, state = make_head("learned"), torch.get_rng_state()
    assert torch.equal(head.initial(None, SLOTS, 3)["head.weight"][0], head.weight.double())
    assert torch.equal(torch.get_rng_state(), state)


def test_more_classes_than_rows_are_refused():
    for init, refused in (("learned", True), ("prototype", False), ("zero", False)):
        head = make_head(init)
        if refused:
            with pytest.raises(
                UserError,
                match="has 4 classes, and method.init=learned has a row for each of 3, the ways",
            ):
                head.initial(EMBEDDED, SLOTS, 4)
        else:
            head.initial(EMBEDDED, SLOTS, 4)
    make_head("learned", form="scalar").check_outputs(4, "anything")


def test_the_template_of_labels_is_one_row():
    assert make_head("learned").template()["head.weight"].shape == (1, 4)
    assert make_head("learned", form="embedding").template()["head.weight"].shape == (4, 4)


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
