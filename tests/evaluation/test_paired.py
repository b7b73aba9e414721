from dataclasses import replace

import numpy as np
import pytest

from mmml.config.schema import EvalEpisodes, EvaluationConfig
from mmml.data.base import Granularity
from mmml.evaluation.judge import Judge
from mmml.evaluation.paired import between, differences, from_baselines, from_parts
from mmml.evaluation.panel import Cell, Panel, episode_settings
from mmml.evaluation.statistics import interval
from mmml.methods import Role
from mmml.tasks import tasks
from tests.conftest import MLP, make_learner

OURS = [0.2, 0.9, 0.4, 0.7]
THEIRS = [0.1, 0.7, 0.3, 0.6]  # always a little less, though the episodes differ far more


def cell(predictor="ours", **changes):
    return replace(
        Cell(
            split="test",
            task="classification",
            predictor=predictor,
            baseline=predictor != "ours",
            role=Role.LEARNED if predictor == "ours" else Role.UNTRAINED,
            support=["text"],
            query=["image"],
            ways=5,
            shots=1,
            episodes=4,
            candidates=None,
            transductive=False,
            metric="accuracy",
            percent=True,
            higher_is_better=True,
            mean=0.5,
            ci95=0.1,
        ),
        **changes,
    )


def panel(*rows):
    made = Panel()
    for c, scores in rows:
        made.add(c, np.array(scores, dtype=float))
    return made


def test_the_interval_is_that_of_the_differences():
    (found,) = from_baselines(panel((cell(), OURS), (cell("raw"), THEIRS)))
    assert (found.a, found.b, found.episodes) == ("ours", "raw", 4)
    assert found.mean == pytest.approx(0.125)
    assert found.ci95 == pytest.approx(3.1824 * 0.05 / 2, rel=1e-4)  # of 0.1, 0.2, 0.1, 0.1: t(3) · s / √4
    assert found.clear
    assert interval(np.array(OURS))[1] > 3 * found.ci95  # which the spread of scores would hide


def test_episodes_are_paired_by_their_number():
    (found,) = from_baselines(panel((cell(), OURS), (cell("raw"), THEIRS[::-1])))
    assert found.mean == pytest.approx(0.125) and found.ci95 > 0.4 and not found.clear


def test_what_is_not_scored_alike_is_not_compared():
    others = [{"ways": 20}, {"shots": 5}, {"metric": "F1"}, {"support": ["image"]}, {"task": "other"}, {"split": "val"}]
    rows = [(cell("raw", **change), THEIRS) for change in [*others, {"step": 10}]]
    assert from_baselines(panel((cell(), OURS), *rows)) == []


@pytest.mark.parametrize(
    ("changes", "ours", "theirs"),
    [
        ({"candidates": 323, "metric": "R@1"}, OURS, THEIRS),
        ({"metric": "calibration error"}, [], []),
        ({"episodes": 0}, OURS, []),
        ({}, OURS, THEIRS[:3]),
        ({}, OURS[:1], THEIRS[:1]),
        ({}, OURS, [0.1, np.inf, 0.3, 0.6]),
        ({}, [0.1, np.inf, 0.3, 0.6], [0.1, np.inf, 0.3, 0.6]),
    ],
    ids=["ranking", "calibration", "chance", "lengths", "one episode", "diverged", "both diverged"],
)
def test_what_has_no_pairs_is_left_out(changes, ours, theirs):
    assert from_baselines(panel((cell(**changes), ours), (cell("raw", **changes), theirs))) == []


def test_scores_over_some_queries_are_no_pairs_of_scores_over_all():
    some = {"subset": "names with a new word"}
    whole = [(cell(), OURS), (cell("raw"), THEIRS)]
    (found,) = from_baselines(panel(*whole, (cell(**some), THEIRS), (cell("raw", **some), OURS)))
    assert found.mean == pytest.approx(0.125)


def test_an_error_is_better_below_zero():
    error = {"metric": "MAE", "percent": False, "higher_is_better": False}
    (found,) = from_baselines(panel((cell(**error), THEIRS), (cell("raw/mean", **error), OURS)))
    assert found.mean == pytest.approx(-0.125) and found.clear and not found.higher_is_better


def test_the_same_scores_differ_by_nothing_and_not_clearly():
    (found,) = between(panel((cell("x"), OURS), (cell("y"), OURS)), ["x", "y"])
    assert (found.mean, found.ci95, found.clear) == (0.0, 0.0, False)


def test_a_fused_mapping_less_each_of_its_parts():
    def one(support, query, scores, predictor="ours"):
        return cell(predictor, support=support, query=query), scores

    both = ["image", "text"]
    rows = panel(
        one(both, both, OURS),
        one(["image"], ["image"], THEIRS),
        one(["text"], both, THEIRS),
        one(["image"], ["text"], THEIRS),
        one(["image"], ["image"], THEIRS, "raw"),
    )
    found = from_parts(rows)
    told = [(d.a, d.b, d.support, d.query) for d in found]
    assert told[0] == ("ours", "ours, image:image", both, both)
    assert [b for _, b, _, _ in told] == ["ours, image:image", "ours, text:image+text", "ours, image:text"]
    assert all(d.mean == pytest.approx(0.125) for d in found)


def test_every_pair_once_the_earlier_less_the_later():
    rows = panel(*((cell(name), np.array(OURS) / n) for n, name in enumerate("xyz", 1)), (cell("raw"), THEIRS))
    found = between(rows, ["z", "x", "y"])
    assert [(d.a, d.b) for d in found] == [("z", "x"), ("z", "y"), ("x", "y")]
    assert [d.mean < 0 for d in found] == [True, True, False]


def test_plain_says_whether_it_is_clear():
    (found,) = differences(panel((cell(), OURS), (cell("raw"), THEIRS)), [("ours", "raw")])
    assert found.plain() | {"mean": 0, "ci95": 0} == {
        "split": "test",
        "task": "classification",
        "a": "ours",
        "b": "raw",
        "support": ["text"],
        "query": ["image"],
        "ways": 5,
        "shots": 1,
        "step": None,
        "episodes": 4,
        "metric": "accuracy",
        "percent": True,
        "higher_is_better": True,
        "mean": 0,
        "ci95": 0,
        "ci95_classes": None,
        "clear": True,
    }


def test_classes_that_differ_make_a_difference_less_certain():
    """Three languages in which one predictor is better than another by 0.1, 0.2 and 0.3, each played 20 times."""
    classes, better = np.arange(60)[:, None] % 3, 0.1 + 0.1 * (np.arange(60) % 3)
    rows = Panel()
    rows.add(cell(), better, classes)
    rows.add(cell("raw"), np.zeros(60), classes)
    (found,) = differences(rows, [("ours", "raw")])
    assert found.ci95 < 0.03 and found.ci95_classes == pytest.approx(4.303 * 0.1 / 3**0.5, rel=0.05)


def test_classes_that_are_hard_for_both_do_not_matter():
    """Of three languages one is harder than another, yet one predictor is better by an eighth in each."""
    classes, scores = np.arange(60)[:, None] % 3, 0.25 * (np.arange(60) % 3)
    rows = Panel()
    rows.add(cell(), scores + 0.125, classes)
    rows.add(cell("raw"), scores, classes)
    (found,) = differences(rows, [("ours", "raw")])
    assert (found.mean, found.ci95, found.ci95_classes) == (0.125, 0.0, 0.0)


def test_a_learner_is_compared_with_every_baseline_that_played_its_episodes(samples):
    """Frozen prototypes are the learner itself here: on identical episodes nothing is left between them."""
    modalities = {"image": Granularity.SAMPLE, "text": Granularity.CLASS}
    options = EvalEpisodes(ways=[3], shots=[1, 2], queries=2, mappings=["image:image", "text:image"])
    settings = episode_settings(options, modalities, tasks.build("classification", {}, "task"))
    judge = Judge(
        {"val": samples, "test": samples},
        modalities,
        settings,
        EvaluationConfig(20, 20, 0, True, ["raw/nearest"], False),
    )
    learner = make_learner(MLP)
    learner.embedder.requires_grad_(False)
    judged = judge.test(learner)
    found = from_baselines(judged)
    assert {d.a for d in found} == {"metric/prototype"}
    assert {d.b for d in found} == {c.predictor for c in judged.cells if c.baseline} - {"chance"}
    assert {d.mean for d in found if d.b == "frozen/prototype"} == {0.0}  # the same parameters
    assert {(d.support[0], d.shots) for d in found if d.b == "raw/nearest"} == {("image", 1), ("image", 2)}
