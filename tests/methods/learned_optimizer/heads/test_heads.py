"""Heads of labels, scores and embeddings, and their first weights."""

import pytest
import torch

from mmml.errors import UserError
from mmml.methods.learned_optimizer.heads import heads
from mmml.tasks import tasks

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


def test_a_first_projection_changes_nothing():
    embedded, head = torch.randn(2, 5, 6), make_head("prototype", 6, form="embedding")
    params = head.initial(embedded, embedded, 6)
    assert torch.allclose(head(params, embedded).float(), embedded, atol=1e-6)


def test_no_projection_begins_nowhere():
    with pytest.raises(
        UserError, match="method.init=zero points nowhere, and this task compares directions"
    ):
        make_head("zero", form="embedding")
