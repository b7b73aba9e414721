from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from mmml.config.schema import EvalEpisodes, EvaluationConfig
from mmml.data.base import Granularity
from mmml.episodes import Sampler
from mmml.evaluation import controls
from mmml.evaluation.judge import Judge
from mmml.evaluation.panel import Panel, chance_panel, episode_panel, episode_settings
from mmml.tasks import tasks
from tests.conftest import MLP, SMALL, make_learner
from tests.methods.learned_optimizer.making import DENSE, GENTLE, make

MODALITIES = {"image": Granularity.SAMPLE, "text": Granularity.CLASS}


@pytest.fixture
def settings():
    options = EvalEpisodes(ways=[3], shots=[1], queries=2, mappings=["image:image"])
    return episode_settings(options, MODALITIES, tasks.build("classification", {}, "task"))


def chosen(monkeypatch, settings, scores):
    """The numbers of the candidates that are chosen, by their accuracies and log losses."""

    def panel(candidate, embedded, sampler, settings, episodes):
        found = chance_panel(SimpleNamespace(split="val"), settings, 0)
        (cell,) = found.cells
        both = zip(("accuracy", "log loss"), scores[candidate], strict=True)
        cells = [cell.__class__(**(cell.__dict__ | {"metric": m, "mean": v})) for m, v in both]
        return Panel(cells, [np.empty(0)] * 2, [None] * 2)

    monkeypatch.setattr(controls, "episode_panel", panel)
    return controls.choose(list(range(len(scores))), None, None, settings, 2)


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
def test_one_rate_is_chosen_for_each_metric(monkeypatch, settings, scores, best):
    assert chosen(monkeypatch, settings, scores) == best


def test_what_diverges_is_none_in_json(settings):
    found = chance_panel(SimpleNamespace(split="val"), settings, 0)
    found.cells[0] = replace(found.cells[0], mean=np.inf, ci95=np.nan)
    assert [found.plain()[0][k] for k in ("mean", "ci95")] == [None, None]
    losses = np.array([[1.0, 2.0], [np.inf, np.inf]])
    assert controls.curve("x", losses)["median"] == [1.5, None]


def test_a_learner_is_judged_in_evaluation_mode_and_given_back_as_it_was(samples, settings):
    """Encoders that adapt see raw values: augmentation and dropout would otherwise change their scores."""
    judge = Judge({"val": samples, "test": samples}, MODALITIES, settings, EvaluationConfig(4, 4, 0, False, [], False))
    learner = make(SMALL, update_rule="sgd", adapt="all", **GENTLE).train()
    first, second = (judge.test(learner).plain() for _ in range(2))
    assert first == second == judge.test(learner.eval()).plain() and not learner.training
    scores = judge.validate(learner.train())
    assert scores == judge.validate(learner) and learner.training
    assert list(scores) == judge.monitors(learner) and list(scores)[-1] == "val/loss" and scores["val/loss"] > 0
    assert not judge.metric_of("val/loss").higher_is_better and judge.metric_of("val/mean").higher_is_better


def test_the_guard_plays_learners_that_adapt_encoders(samples, settings):
    options = EvaluationConfig(4, 4, 0, False, [], True)
    judge = Judge({"val": samples, "test": samples}, MODALITIES, settings, options)
    learner = make(DENSE, update_rule="sgd", adapt="all", **GENTLE).train()
    assert judge.test(learner).cells and learner.training


def test_what_is_left_of_the_loss_is_shown_of_learners_that_descend_it(samples, settings):
    sampler = Sampler(samples, 0, "val")
    learned, metric = (episode_panel(x.eval(), samples, sampler, settings, 6) for x in (make(), make_learner(MLP)))
    assert [c.metric for c in metric.cells] == ["accuracy"]
    assert [c.metric for c in learned.cells] == ["accuracy", "log loss"]
    assert not learned.cells[1].higher_is_better and len(learned.scores[1]) == 6
    assert learned.cells[1].mean == pytest.approx(learned.scores[1].mean())
