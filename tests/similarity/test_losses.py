import math

import pytest
import torch

from mmml.errors import UserError
from mmml.similarity import distances, losses
from mmml.similarity.losses import class_means, same_class


def build(name, **options):
    return losses.build(name, options, "method")


def table(values):
    """A distance that ignores the embeddings."""
    return lambda query, support: torch.tensor([values])


SLOTS = torch.tensor([[0, 1]])


def test_contrastive_is_the_published_formula():
    loss = build("contrastive", margin=1.0, squared=False)
    # same pairs 0.3 and 0.2; others hinge max(0, 1 - 0.4) = 0.6 and max(0, 1 - 5) = 0
    value = loss(
        table([[0.3, 0.4], [5.0, 0.2]]), torch.zeros(1, 2, 1), SLOTS, torch.zeros(1, 2, 1), SLOTS
    )
    assert value.item() == pytest.approx((0.3 + 0.6 + 0.0 + 0.2) / 4)


def test_contrastive_squared_is_hadsells():
    loss = build("contrastive", margin=1.0, squared=True)
    value = loss(
        table([[0.3, 0.4], [5.0, 0.2]]), torch.zeros(1, 2, 1), SLOTS, torch.zeros(1, 2, 1), SLOTS
    )
    assert value.item() == pytest.approx((0.09 + 0.36 + 0.0 + 0.04) / 4)


def test_contrastive_refuses_labels_that_would_broadcast():
    loss = build("contrastive", margin=1.0, squared=False)
    with pytest.raises(ValueError, match="pair by pair"):
        loss.pairs(torch.rand(4), torch.ones(4, 1, dtype=torch.bool))


def test_prototypical_is_cross_entropy_over_class_means():
    support = torch.tensor([[[0.0], [2.0], [5.0], [7.0]]])
    query = torch.tensor([[[1.5]]])
    loss = build("prototypical", temperature=1.0, learn_temperature=False)
    labels = torch.tensor([[0, 0, 1, 1]])
    value = loss(distances.get("sqeuclidean", ""), support, labels, query, torch.tensor([[0]]))
    assert value.item() == pytest.approx(math.log(1 + math.exp(-(4.5**2) + 0.5**2)), abs=1e-6)


@pytest.mark.parametrize("name", ["prototypical", "infonce"])
def test_temperature_divides_distances(name):
    """Squared distances 1 and 4, by a temperature of 2: each query belongs to its class with
    probability 0.8176.
    """
    support = torch.tensor([[[0.0], [3.0]]])
    query = torch.tensor([[[1.0], [2.0]]])
    labels = torch.tensor([[0, 1]])
    loss = build(name, temperature=2.0, learn_temperature=False)
    value = loss(distances.get("sqeuclidean", ""), support, labels, query, labels).item()
    assert value == pytest.approx(0.2014, abs=1e-4)


def test_infonce_contrasts_in_both_directions():
    loss = build("infonce", temperature=0.5, learn_temperature=True)
    d = torch.tensor([[0.1, 0.7], [0.9, 0.2]])
    value = loss(table(d.tolist()), torch.zeros(1, 2, 1), SLOTS, torch.zeros(1, 2, 1), SLOTS)
    logits = -d / 0.5
    rows = torch.nn.functional.cross_entropy(logits, torch.arange(2))
    columns = torch.nn.functional.cross_entropy(logits.T, torch.arange(2))
    assert value.item() == pytest.approx(((rows + columns) / 2).item(), rel=1e-5)


def test_triplet_compares_what_is_of_the_class_with_what_is_not():
    d = [[0.1, 0.7, 0.3], [0.9, 0.2, 0.4]]
    labels, of = torch.tensor([[0, 1, 0]]), torch.tensor([[0, 1]])

    def value(**options):
        return build("triplet", **options)(
            table(d), torch.zeros(1, 3, 1), labels, torch.zeros(1, 2, 1), of
        ).item()

    # Query 0: positives 0.1 and 0.3 against 0.7; query 1: positive 0.2 against 0.9 and 0.4.
    # With a margin of 0.5 0.3 − 0.7 + 0.5 and 0.2 − 0.4 + 0.5 violate it, and the others do not.
    assert value(margin=0.5, hard_mining=False) == pytest.approx((0.1 + 0.3) / 2)
    assert value(margin=0.5, hard_mining=True) == pytest.approx((0.1 + 0.3) / 2)
    assert value(margin=1.0, hard_mining=False) == pytest.approx((0.4 + 0.6 + 0.3 + 0.8) / 4)
    assert value(margin=1.0, hard_mining=True) == pytest.approx((0.6 + 0.8) / 2)
    assert value(margin=0.1, hard_mining=False) == 0


def test_infonce_takes_several_positives():
    loss = build("infonce", temperature=1.0, learn_temperature=False)
    labels = torch.tensor([[0, 0]])
    value = loss(
        table([[0.1, 0.7], [0.9, 0.2]]), torch.zeros(1, 2, 1), labels, torch.zeros(1, 2, 1), labels
    )
    assert value.item() == pytest.approx(0, abs=1e-6)  # nothing is negative


@pytest.mark.parametrize(
    ("name", "learns"), [("infonce", True), ("prototypical", True), ("contrastive", False)]
)
def test_only_a_temperature_in_use_is_a_parameter(name, learns):
    options = {"margin": 1.0, "squared": False} if name == "contrastive" else {}
    options |= {} if name == "contrastive" else {"temperature": 0.1, "learn_temperature": True}
    assert bool(list(build(name, **options).parameters())) == learns


def test_refuses_impossible_options():
    with pytest.raises(UserError, match=r"method.loss.margin=0 must be a positive number"):
        build("contrastive", margin=0, squared=False)
    with pytest.raises(UserError, match=r"method.loss.margin=-1 must be a positive number"):
        build("triplet", margin=-1, hard_mining=True)
    with pytest.raises(UserError, match=r"method.loss.temperature=-1 must be a positive number"):
        build("infonce", temperature=-1, learn_temperature=True)


def test_class_means_and_pairs():
    support = torch.tensor([[[1.0], [5.0], [3.0]]])
    labels = torch.tensor([[0, 1, 0]])
    assert class_means(support, labels).tolist() == [[[2.0], [5.0]]]
    assert same_class(torch.tensor([[1]]), labels).tolist() == [[[False, True, False]]]
