from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mmml.episodes import Sampler
from mmml.evaluation import context as contexts
from mmml.evaluation.examples.curves import curve
from mmml.evaluation.predictions import chance_results, episode_results
from mmml.evaluation.results import Results
from tests.conftest import MLP, SMALL, make_learner
from tests.evaluation.making import context_of, measure, settings_of
from tests.methods.learned_optimizer.making import DENSE, GENTLE, make

FEW = {"episodes": 4, "validation_episodes": 4}


@pytest.fixture
def settings():
    return settings_of(shots=[1], mappings=["image:image"])


def chosen(monkeypatch, samples, settings, scores):
    """The numbers of the candidates that are chosen, by their accuracies and log losses."""

    def results(candidate, embedded, sampler, settings, episodes):
        (row,) = chance_results(SimpleNamespace(split="val"), settings, 0)
        both = zip(("accuracy", "log loss"), scores[candidate], strict=True)
        return Results([replace(row.keyed(metric=m), mean=v) for m, v in both])

    monkeypatch.setattr(contexts, "episode_results", results)
    return context_of(samples, settings)._chosen(list(range(len(scores))), samples)


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([(0.5, 0.9), (0.7, 0.3), (0.6, 0.4)], [1]),  # best in both
        ([(0.5, 0.1), (0.7, 0.3)], [1, 0]),  # the headline metric first
        ([(0.7, 0.9), (0.7, 0.3)], [1]),  # of equals the lower loss
        ([(0.7, np.inf), (0.6, 0.4)], [0, 1]),
        ([(np.nan, np.nan), (0.2, 2.0)], [1]),
    ],
)
def test_one_rate_is_chosen_for_each_metric(monkeypatch, samples, settings, scores, best):
    assert chosen(monkeypatch, samples, settings, scores) == best


def test_what_diverges_is_none_in_json(settings):
    (row,) = chance_results(SimpleNamespace(split="val"), settings, 0)
    assert [replace(row, mean=np.inf, ci95=np.nan).plain()[k] for k in ("mean", "ci95")] == [
        None,
        None,
    ]
    losses = np.array([[1.0, 2.0], [np.inf, np.inf]])
    assert curve("x", losses)["median"] == [1.5, None]


def test_a_learner_is_tested_in_evaluation_mode_and_given_back_as_it_was(samples, settings):
    """Encoders that adapt are shown raw values: augmentation and dropout would otherwise
    change their scores.
    """
    context = context_of(samples, settings, **FEW)
    learner = make(SMALL, update_rule="sgd", adapt="all", **GENTLE).train()
    first, second = (measure(context, learner).plain() for _ in range(2))
    assert first == second == measure(context, learner.eval()).plain() and not learner.training
    scores = context.validate(learner.train())
    assert scores == context.validate(learner) and learner.training
    assert (
        list(scores) == context.monitors(learner)
        and list(scores)[-1] == "val/loss"
        and scores["val/loss"] > 0
    )
    assert (
        not context.metric_of("val/loss").higher_is_better
        and context.metric_of("val/mean").higher_is_better
    )


def test_the_independence_check_plays_learners_that_adapt_encoders(samples, settings):
    context = context_of(samples, settings, **FEW, independence_check=True)
    learner = make(DENSE, update_rule="sgd", adapt="all", **GENTLE).train()
    assert len(measure(context, learner)) and learner.training


def test_what_is_left_of_the_loss_is_shown_of_learners_that_descend_it(samples, settings):
    sampler = Sampler(samples, 0, "val")
    learned, metric = (
        episode_results(x.eval(), samples, sampler, settings, 6)
        for x in (make(), make_learner(MLP))
    )
    assert [r.key.metric for r in metric] == ["accuracy"]
    assert [r.key.metric for r in learned] == ["accuracy", "log loss"]
    loss = learned.rows[1]
    assert not loss.higher_is_better and len(loss.scores) == 6
    assert loss.mean == pytest.approx(loss.scores.mean())
