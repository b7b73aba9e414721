import pytest
import torch

from mmml import run as runs
from mmml.config import check_run
from mmml.config.compose import compose_plain
from mmml.episodes import EpisodeShape
from mmml.errors import UserError
from mmml.tasks import Metric
from mmml.tasks.classification import Classification
from mmml.tasks.ranking import Ranking
from mmml.tasks.retrieval import Retrieval

classification, gallery = Classification(), Ranking()


def named(scores):
    return {m.name: v for m, v in scores.items()}


def test_classification_adds_votes_by_class():
    weights = torch.tensor([[[0.5, 0.2, 0.3]]]).log()
    votes = classification.aggregate(weights, torch.tensor([[1, 0, 1]])).exp()
    assert torch.allclose(votes, torch.tensor([[[0.2, 0.8]]]))


def test_a_class_without_any_weight_has_none():
    weights = torch.tensor([[[-torch.inf, -torch.inf, 0.0]]])
    votes = classification.aggregate(weights, torch.tensor([[0, 0, 1]]))
    assert votes.tolist() == [[[-torch.inf, 0.0]]]


def test_accuracy_is_per_query():
    predictions = torch.tensor([[[0.9, 0.1], [0.4, 0.6]]]).log()
    assert named(classification.scores(predictions, torch.tensor([[0, 0]])))[
        "accuracy"
    ].tolist() == [[1.0, 0.0]]


def test_predictions_that_are_no_numbers_are_wrong():
    """Whatever the right class is: the largest of numbers of which one is NaN is that one."""
    nan, ways = torch.full((1, 3, 3), torch.nan), torch.arange(3)[None]
    assert named(classification.scores(nan, ways))["accuracy"].tolist() == [[0.0, 0.0, 0.0]]
    some = torch.tensor([[[torch.nan, -1.0], [-0.1, torch.nan], [-0.1, -2.0]]])
    assert named(classification.scores(some, torch.tensor([[0, 1, 0]])))["accuracy"].tolist() == [
        [0.0, 0.0, 1.0]
    ]


def test_ranks_and_recall():
    fits = torch.tensor([[[0.1, 0.9, 0.5], [0.7, 0.1, 0.2]]])
    scores = named(gallery.scores(fits, torch.tensor([[0, 0]])))
    assert scores["median rank"].tolist() == [[3.0, 1.0]]
    assert scores["R@1"].tolist() == [[0.0, 1.0]]
    assert scores["R@5"].tolist() == [[1.0, 1.0]]


def test_a_collapsed_embedding_ranks_as_chance_does():
    fits = torch.zeros(1, 101, 101)
    scores = named(gallery.scores(fits, torch.arange(101)[None]))
    for name, found in scores.items():
        assert found.double().mean().item() == pytest.approx(
            named(gallery.chance(EpisodeShape(101, 1, 1)))[name]
        ), name
    assert (
        scores["median rank"].unique().tolist()
        == [51.0]
        == [named(gallery.chance(EpisodeShape(101, 1, 1)))["median rank"]]
    )


@pytest.mark.parametrize("task", [classification, gallery])
def test_chance_names_the_same_metrics(task):
    predictions = torch.rand(1, 4, 4)
    found = task.scores(predictions, torch.arange(4)[None])
    assert set(task.chance(EpisodeShape(4, 1, 1))) == set(found) == set(task.metrics)


def test_chance_values():
    assert named(classification.chance(EpisodeShape(5, 1, 1))) == {"accuracy": 0.2}
    assert named(gallery.chance(EpisodeShape(4, 1, 1))) == {
        "R@1": 0.25,
        "R@5": 1.0,
        "R@10": 1.0,
        "median rank": 2.5,
    }


def test_a_median_metric_takes_the_median_of_queries():
    scores = torch.tensor([[1.0, 2.0, 9.0]])
    assert Metric("rank", median=True).of_episodes(scores).tolist() == [2.0]
    assert Metric("accuracy").of_episodes(scores).tolist() == [4.0]
    assert Metric("accuracy").of_episodes(scores).dtype == torch.float64


def test_ties_share_their_ranks():
    """Two fit better, the right one ties with three others: it is third, fourth, fifth or sixth."""
    fits = torch.tensor([[[0.9, 0.8, 0.5, 0.5, 0.5, 0.5, 0.1, 0.0, 0.0, 0.0, 0.0]]])
    scores = named(gallery.scores(fits, torch.tensor([[3]])))
    found = {name: value.item() for name, value in scores.items()}
    assert found == {"R@1": 0.0, "R@5": 0.75, "R@10": 1.0, "median rank": 4.5}
    assert named(gallery.scores(torch.zeros(1, 1, 4), torch.tensor([[2]])))["R@1"].item() == 0.25


def test_predictions_that_are_no_numbers_rank_last():
    scores = named(gallery.scores(torch.full((1, 3, 3), torch.nan), torch.arange(3)[None]))
    assert scores["R@10"].sum() == scores["R@1"].sum() == 0 and scores["median rank"].min() >= 3


CLIPS = "episode.train.mappings=[video:video] episode.eval.mappings=[video:video]"
IMPOSSIBLE = {
    "task=regression episode=regression": (
        "task=regression needs a score for each sample, and dataset=glyphs has none"
    ),
    "dataset=sinusoid task=classification": (
        "task=classification: classes of dataset=sinusoid say only what its scores are about, "
        ".* set task=regression episode=regression"
    ),
    "dataset=sinusoid task=classification episode=regression": (
        "classes of dataset=sinusoid say only"
    ),
    "dataset=sinusoid task=regression episode=regression method/classifier=prototype": (
        "=prototype needs classes"
    ),
    "dataset=moving_domains task=regression episode=regression": (
        "and dataset=moving_domains has none"
    ),
    "dataset=moving_domains task=generation episode.eval.mappings=[image:image]": (
        "'image', which dataset moving_domains does not have"
    ),
    f"dataset=moving_glyphs task=generation episode=pairs {CLIPS}": "belongs to whole classes here",
    "task=generation method/classifier=attention": "task.target=text belongs to whole classes here",
    f"dataset=moving_domains task=retrieval method/classifier=prototype episode=pairs {CLIPS}": (
        "needs classes"
    ),
}


@pytest.mark.parametrize("options", IMPOSSIBLE)
def test_what_does_not_fit_is_refused_before_anything_is_loaded(options, monkeypatch):
    build = runs.datasets.build_section

    def never_loaded(*section):
        dataset = build(*section)
        dataset.load = lambda *_: pytest.fail("loaded")
        return dataset

    monkeypatch.setattr(runs.datasets, "build_section", never_loaded)
    with pytest.raises(UserError, match=IMPOSSIBLE[options]):
        runs.assemble(check_run(compose_plain(options.split())))


def test_answers_that_no_file_can_hold_are_refused():
    with pytest.raises(UserError, match="task=retrieval has no answers that mmml-predict can"):
        Retrieval("text", temperature=0.1).format(None)
