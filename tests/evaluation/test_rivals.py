import numpy as np
import pytest

from mmml.config.schema import EvalEpisodes
from mmml.datasets import Per
from mmml.episodes import Sampler
from mmml.evaluation import rivals
from mmml.evaluation.panel import Panel, chance_panel, episode_panel, episode_settings
from mmml.tasks import tasks
from tests.conftest import MLP, make_learner
from tests.methods.learned_optimizer.making import make

MODALITIES = {"image": Per.SAMPLE, "text": Per.CLASS}


@pytest.fixture
def settings():
    options = EvalEpisodes(ways=[3], shots=[1], queries=2, mappings=["image:image"])
    return episode_settings(options, MODALITIES, tasks.build("classification", {}, "task"))


def chosen(monkeypatch, settings, scores):
    """The numbers of the candidates that are chosen, by their accuracies and log losses."""

    def panel(candidate, embedded, sampler, settings, episodes):
        found = chance_panel("val", settings)
        (cell,) = found.cells
        both = zip(("accuracy", "log loss"), scores[candidate], strict=True)
        cells = [cell.__class__(**(cell.__dict__ | {"metric": m, "mean": v})) for m, v in both]
        return Panel(cells, [np.empty(0)] * 2)

    monkeypatch.setattr(rivals, "episode_panel", panel)
    return rivals.choose(list(range(len(scores))), None, None, settings, 2)


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


def test_what_is_left_of_the_loss_is_shown_of_learners_that_descend_it(samples, settings):
    sampler = Sampler(samples, 0, "val")
    learned, metric = (episode_panel(x.eval(), samples, sampler, settings, 6) for x in (make(), make_learner(MLP)))
    assert [c.metric for c in metric.cells] == ["accuracy"]
    assert [c.metric for c in learned.cells] == ["accuracy", "log loss"]
    assert not learned.cells[1].higher_is_better and len(learned.scores[1]) == 6
    assert learned.cells[1].mean == pytest.approx(learned.scores[1].mean())
