import pytest
import torch

from mmml.episodes import Shape
from mmml.tasks import Metric
from mmml.tasks.classification import Classification
from mmml.tasks.gallery import Gallery

classification, gallery = Classification(), Gallery()


def named(scores):
    return {m.name: v for m, v in scores.items()}


def test_classification_adds_votes_by_class():
    weights = torch.tensor([[[0.5, 0.2, 0.3]]]).log()
    votes = classification.combine(weights, torch.tensor([[1, 0, 1]])).exp()
    assert torch.allclose(votes, torch.tensor([[[0.2, 0.8]]]))


def test_a_class_without_any_weight_has_none():
    weights = torch.tensor([[[-torch.inf, -torch.inf, 0.0]]])
    votes = classification.combine(weights, torch.tensor([[0, 0, 1]]))
    assert votes.tolist() == [[[-torch.inf, 0.0]]]


def test_accuracy_is_per_query():
    predictions = torch.tensor([[[0.9, 0.1], [0.4, 0.6]]]).log()
    assert named(classification.scores(predictions, torch.tensor([[0, 0]])))["accuracy"].tolist() == [[1.0, 0.0]]


def test_ranks_and_recall():
    fits = torch.tensor([[[0.1, 0.9, 0.5], [0.7, 0.1, 0.2]]])
    scores = named(gallery.scores(fits, torch.tensor([[0, 0]])))
    assert scores["median rank"].tolist() == [[3.0, 1.0]]
    assert scores["R@1"].tolist() == [[0.0, 1.0]]
    assert scores["R@5"].tolist() == [[1.0, 1.0]]


def test_a_collapsed_embedding_ranks_as_chance_does():
    fits = torch.zeros(1, 101, 101)
    scores = named(gallery.scores(fits, torch.arange(101)[None]))
    assert scores["R@1"].sum() == 0
    assert scores["median rank"].unique().tolist() == [51.0] == [named(gallery.chance(Shape(101, 1, 1)))["median rank"]]


@pytest.mark.parametrize("task", [classification, gallery])
def test_chance_names_the_same_metrics(task):
    predictions = torch.rand(1, 4, 4)
    found = task.scores(predictions, torch.arange(4)[None])
    assert set(task.chance(Shape(4, 1, 1))) == set(found) == set(task.metrics)


def test_chance_values():
    assert named(classification.chance(Shape(5, 1, 1))) == {"accuracy": 0.2}
    assert named(gallery.chance(Shape(4, 1, 1))) == {"R@1": 0.25, "R@5": 1.0, "R@10": 1.0, "median rank": 2.5}


def test_a_median_metric_takes_the_median_of_queries():
    scores = torch.tensor([[1.0, 2.0, 9.0]])
    assert Metric("rank", median=True).of_episodes(scores).tolist() == [2.0]
    assert Metric("accuracy").of_episodes(scores).tolist() == [4.0]
    assert Metric("accuracy").of_episodes(scores).dtype == torch.float64


def test_predictions_that_are_no_numbers_rank_last():
    scores = named(gallery.scores(torch.full((1, 3, 3), torch.nan), torch.arange(3)[None]))
    assert scores["R@1"].sum() == 0 and scores["median rank"].min() >= 3
