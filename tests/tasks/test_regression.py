"""Scores: what is learned, what is refused, and what a constant answer is worth."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.config.schema import EpisodeConfig, EvalEpisodes, TrainEpisodes
from mmml.data.base import Granularity, Samples
from mmml.data.column import Column
from mmml.encoders import build_embedder
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather
from mmml.errors import UserError
from mmml.evaluation.embed import embed_all
from mmml.evaluation.predictions import episode_results
from mmml.evaluation.setting import EvalSetting
from mmml.methods.controls import constants
from mmml.tasks import tasks
from mmml.tasks.regression import ABOVE, F1, MAE, PEARSON, f1, pearson
from tests.conftest import metric_learner, with_scores

TASK = tasks.build("regression", {}, "task")
MAPPING = Mapping.parse("features:features")
FEATURES = {
    "name": "feature_transformer",
    "steps": 4,
    "channels": 16,
    "layers": 0,
    "heads": 2,
    "dropout": 0.0,
}


@pytest.fixture
def scored() -> Samples:
    """Three quantities of forty samples each; the score is the first of six features,
    the others are noise.
    """
    values = torch.randn(120, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1.0, 3, 3, 3, 3, 3]
    )
    return with_scores(
        Samples(["a", "b", "c"], np.arange(4) * 40, {"features": Column(values)}), values[:, 0]
    )


def learner(classifier="attention", loss="infonce"):
    torch.manual_seed(0)
    embedder = build_embedder(
        {"width": 8, "normalize": True, "fusion": "mean", "features": FEATURES}, ["features"]
    )
    options = {"temperature": 0.3} if loss == "infonce" else {}
    return metric_learner(embedder, TASK, "cosine", loss, classifier, **options)


def batch(samples, numbers=(0, 1, 2, 3)):
    return gather(
        samples,
        Sampler(samples, 0, "train").draw(numbers, EpisodeShape(1, 8, 10)),
        [MAPPING],
        "score",
    )


def error(model, samples) -> float:
    setting = EvalSetting("few_shot", TASK, EpisodeShape(1, 10, 10), (MAPPING,))
    embedded = embed_all(model, samples, ["features", "score"])
    return (
        episode_results(model, embedded, Sampler(samples, 0, "test"), [setting], 100).rows[0].mean
    )


@pytest.mark.parametrize("loss", ["infonce", "prototypical"])
def test_the_loss_sees_the_scores_and_reaches_every_parameter(scored, loss):
    model = learner(loss=loss)
    model.embedder.fit(scored)
    value = model.loss(batch(scored))
    value.backward()
    assert value > 0 and all(
        p.grad.abs().sum() > 0 for n, p in model.named_parameters() if "positions" not in n
    )
    assert model.loss(batch(with_scores(scored, -5 * scored.columns["score"].values))) != value


def test_training_learns_which_features_matter(scored):
    model = learner()
    model.embedder.fit(scored)
    before = error(model, scored)
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    for step in range(60):
        optimizer.zero_grad()
        model.loss(batch(scored, range(4 * step, 4 * step + 4))).backward()
        optimizer.step()
    assert error(model, scored) < 0.8 * before


def test_a_constant_answer_stands_in_the_table(scored):
    setting = EvalSetting("few_shot", TASK, EpisodeShape(1, 10, 10), (MAPPING,))
    model = learner()
    model.embedder.fit(scored)
    mean, _ = constants(model)
    embedded = embed_all(mean, scored, ["features", "score"])
    cell, correlation = episode_results(mean, embedded, Sampler(scored, 0, "test"), [setting], 50)
    drawn = Sampler(scored, 0, "test").draw(range(50), setting.shape)
    scores = scored.columns["score"].values.numpy()
    support, query = scores[drawn.support], scores[drawn.query]
    assert cell.mean == pytest.approx(
        np.abs(query - support.mean(-1, keepdims=True)).mean(), rel=1e-4
    )
    assert correlation.key.metric == "Pearson r" and correlation.mean == 0
    assert cell.key.predictor == "constant/mean"


@pytest.mark.parametrize("classifier", ["prototype", "ridge"])
def test_rules_that_need_classes_are_refused(classifier):
    with pytest.raises(
        UserError,
        match=f"method/classifier={classifier} needs classes.* set method/classifier=attention",
    ):
        learner(classifier=classifier)


def test_a_value_of_a_whole_class_has_no_score():
    with pytest.raises(
        UserError,
        match="text:features: task=regression needs a value for each sample on both sides",
    ):
        TASK.check_mappings(
            [Mapping.parse("text:features")],
            {"text": Granularity.CLASS, "features": Granularity.SAMPLE},
        )
    with pytest.raises(ValueError, match="1 weights for 5 scores"):
        TASK.aggregate(torch.zeros(2, 3, 1), torch.ones(2, 5))
    with pytest.raises(ValueError, match="predictions"):
        TASK.scores(torch.zeros(4, 1), torch.zeros(4, 5))


def test_samples_without_scores_are_counted(scored):
    scores = scored.columns["score"].values.clone()
    scores[3] = torch.nan
    with pytest.raises(UserError, match="1 of the val split have none"):
        TASK.check_samples({"val": with_scores(scored, scores)})
    with pytest.raises(UserError, match="the val split has none"):
        TASK.check_samples(
            {"val": replace(scored, columns={"features": scored.columns["features"]})}
        )


@pytest.mark.parametrize("size", [1e-30, 1e-12, 1e-9, 1.0, 1e9, 1e30])
def test_correlation_does_not_depend_on_units(size):
    x, y = torch.tensor([[1.0, 2.0, 3.0, 5.0]]), torch.tensor([[2.0, 1.0, 4.0, 4.0]])
    usual = pearson(x, y)
    assert torch.allclose(pearson(x * size, y), usual, atol=1e-6) and torch.allclose(
        pearson(x, y * size), usual, atol=1e-6
    )
    assert torch.allclose(pearson(x * size, y * size), usual, atol=1e-6)


def test_numbers_that_differ_by_rounding_alone_are_constant():
    """A weighted mean of equal scores, whose weights sum to 1 but for rounding."""
    rng = torch.Generator().manual_seed(0)
    for size in (1e-20, 3.1, 4e15):
        constant = size * torch.rand(1, 50, 7, generator=rng).softmax(-1).sum(-1)
        assert constant.unique().numel() > 1
        assert pearson(constant, torch.rand(1, 50, generator=rng)).tolist() == [0.0]
    assert pearson(torch.zeros(1, 3), torch.arange(3.0)[None]).tolist() == [0.0]
    assert pearson(
        torch.tensor([[1.0, 1.001, 1.002]]), torch.arange(3.0)[None]
    ).item() == pytest.approx(1, abs=1e-3)


def test_correlation_is_within_an_episode_and_0_of_a_constant_answer():
    targets = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    predictions = torch.tensor([[10.0, 20.0, 30.0], [3.0, 1.0, 2.0], [2.0, 2.0, 2.0]])
    assert torch.allclose(pearson(predictions, targets), torch.tensor([1.0, -0.5, 0.0]))
    assert torch.allclose(
        TASK.scores(predictions, targets)[PEARSON], torch.tensor([[1.0], [-0.5], [0.0]])
    )


def test_a_threshold_makes_scores_positive_or_not():
    task = tasks.build("regression", {"threshold": 4.0}, "task")
    found = task.scores(torch.tensor([[5.0, 3.0, 4.5, 1.0]]), torch.tensor([[6.0, 5.0, 2.0, 2.0]]))
    assert found[ABOVE].tolist() == [[1, 0, 0, 1]] and found[F1].tolist() == [[0.5]]
    assert ABOVE not in TASK.scores(torch.zeros(1, 2), torch.zeros(1, 2))
    assert f1(torch.tensor([[False, False]]), torch.tensor([[False, False]])).tolist() == [1]
    diverged = task.scores(torch.full((1, 4), torch.nan), torch.tensor([[6.0, 5.0, 2.0, 2.0]]))
    assert not diverged[ABOVE].any() and not diverged[F1].any()
    with pytest.raises(UserError, match="task.threshold=nan must be a number"):
        tasks.build("regression", {"threshold": float("nan")}, "task")


def test_every_query_has_an_error_of_its_own():
    found = TASK.scores(
        torch.tensor([[1.0, 4.0], [0.0, 3.0]]), torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    )
    assert found[MAE].tolist() == [[0, 2], [3, 1]] and MAE.of_episodes(found[MAE]).tolist() == [
        1,
        2,
    ]
    assert found[PEARSON].shape == (2, 1)


def test_a_score_at_the_threshold_is_not_above_it():
    task = tasks.build("regression", {"threshold": 4.0}, "task")
    targets = torch.tensor([[4.0, 4.0, 5.0, 3.0]])
    assert task.scores(torch.tensor([[3.0, 5.0, 5.0, 3.0]]), targets)[ABOVE].tolist() == [
        [1, 0, 1, 1]
    ]
    assert task.scores(torch.full((1, 4), 4.0), targets)[ABOVE].tolist() == [[1, 1, 0, 1]]


def test_f1_is_that_of_what_is_above_the_threshold():
    """Two of two are found, and one more: precision 2/3, recall 1; of what is below,
    precision 1, recall 1/2.
    """
    task = tasks.build("regression", {"threshold": 0.0}, "task")
    predictions = torch.tensor([[1.0, 1, 1, -1], [-1, 1, 1, 1]])
    targets = torch.tensor([[1.0, 1, -1, -1]] * 2)
    assert task.scores(predictions, targets)[F1].flatten().tolist() == pytest.approx([0.8, 0.4])
    guessed, true = torch.tensor([[True, True, False]]), torch.tensor([[True, False, True]])
    assert (
        f1(guessed, true).item() == 0.5
        and f1(true, true).item() == 1
        and f1(~true, true).item() == 0
    )


def test_an_episode_mixes_no_quantities():
    judged = EvalEpisodes(ways=[1], shots=[1], queries=1, mappings=["image:image"])
    train = TrainEpisodes(ways=1, shots=1, queries=1, mappings=["image:image"])
    TASK.check(EpisodeConfig(train=train, eval=judged))
    with pytest.raises(UserError, match="episode.eval.ways=2 would mix scores"):
        TASK.check(EpisodeConfig(train=train, eval=replace(judged, ways=[1, 2])))
    with pytest.raises(UserError, match="episode.train.ways=3 would mix scores"):
        TASK.check(EpisodeConfig(train=replace(train, ways={"min": 1, "max": 3}), eval=judged))
