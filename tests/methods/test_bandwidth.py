"""How far around a query support items count."""

import math

import pytest
import torch

from mmml.data.column import Column
from mmml.encoders import build_embedder
from mmml.methods.metric.bandwidth import RATE, Bandwidth
from mmml.tasks import tasks
from tests.conftest import metric_learner, scored_examples


def test_it_begins_with_the_temperature():
    assert Bandwidth(True)(torch.tensor(0.07), 50).item() == pytest.approx(0.07)


def test_it_may_fall_as_support_items_become_more():
    made = Bandwidth(True).eval()
    with torch.no_grad():
        made.level.fill_(math.log(2) / RATE)
        made.power.fill_(-1 / RATE)
    assert [made(torch.tensor(0.1), n).item() for n in (1, 10, 100)] == pytest.approx(
        [2.0, 0.2, 0.02]
    )


def test_it_stays_where_training_saw_no_such_number():
    made = Bandwidth(True)
    with torch.no_grad():
        made.power.fill_(-1 / RATE)
    for items in (20, 50, 30):
        made(torch.tensor(1.0), items)
    own = Bandwidth(True).eval()
    own.load_state_dict(made.state_dict())
    assert [own(torch.tensor(1.0), n).item() for n in (5, 20, 25, 50, 500)] == pytest.approx(
        [0.5, 0.5, 0.4, 0.2, 0.2]
    )


def test_both_numbers_learn_unless_they_are_to_stay():
    made = Bandwidth(True)
    made(torch.tensor(1.0), 20).backward()
    assert made.level.grad.item() == pytest.approx(
        RATE
    ) and made.power.grad.item() == pytest.approx(RATE * math.log(2))
    assert not any(p.requires_grad for p in Bandwidth(False).parameters())


def test_predictions_do_not_depend_on_how_many_episodes_are_played_at_once():
    """The number of support items counts, and not that of support sets."""
    sections = {
        "width": 1,
        "normalize": False,
        "fusion": "mean",
        "features": {"name": "raw_features"},
    }
    task = tasks.build("regression", {}, "task")
    embedder = build_embedder(sections, ["features"])
    learner = metric_learner(embedder, task, "euclidean", temperature=0.5).eval()
    with torch.no_grad():
        learner._bandwidth.power.fill_(-1 / RATE)
    support, query = (torch.arange(n, dtype=torch.float32).view(1, 1, n, 1) for n in (5, 2))
    found = []
    for episodes in (1, 3):
        shown, queries = (
            scored_examples(
                {"features": Column(x.expand(episodes, -1, -1, -1), encoded=True)},
                {"features": (episodes, 1, x.shape[2])},
                x.view(1, -1).repeat(episodes, 1),
            )
            for x in (support, query)
        )
        found.append(learner.adapt(shown)(queries))
    distances = (torch.arange(2.0)[:, None] - torch.arange(5.0)).abs()
    expected = (-distances / (0.5 * 10 / 5)).softmax(-1) @ torch.arange(5.0)
    assert torch.allclose(found[0][0], expected, atol=1e-5) and torch.allclose(
        found[1], expected, atol=1e-5
    )
