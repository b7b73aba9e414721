from dataclasses import replace

import numpy as np
import pytest

from mmml.evaluation.paired import between, differences, from_baselines, from_parts
from mmml.evaluation.results import Result, ResultKey, Results
from mmml.evaluation.statistics import interval
from mmml.methods import Role
from tests.conftest import MLP, make_learner
from tests.evaluation.making import context_of, measure

OURS = [0.2, 0.9, 0.4, 0.7]
THEIRS = [0.1, 0.7, 0.3, 0.6]  # always a little less, though the episodes differ far more


def row(scores, predictor="ours", classes=None, **changes):
    """A row of the table, other than usual in some fields of the row or of its key."""
    key = ResultKey(
        "few_shot",
        "test",
        "classification",
        predictor,
        ("text",),
        ("image",),
        "accuracy",
        ways=5,
        shots=1,
    )
    key = replace(
        key, **{k: changes.pop(k) for k in list(changes) if k in ResultKey.__dataclass_fields__}
    )
    role = Role.LEARNED if predictor == "ours" else Role.UNTRAINED
    made = Result(
        key, mean=0.5, ci95=0.1, n=4, unit="episodes", role=role, scores=np.array(scores, float)
    )
    return replace(made, classes=classes, **changes)


def test_the_interval_is_that_of_the_differences():
    (found,) = from_baselines(Results([row(OURS), row(THEIRS, "raw")]))
    assert (found.key.predictor, found.key.minus, found.n) == ("ours", "raw", 4)
    assert found.mean == pytest.approx(0.125)
    # Of 0.1, 0.2, 0.1, 0.1: t(3) · s / √4.
    assert found.ci95 == pytest.approx(3.1824 * 0.05 / 2, rel=1e-4)
    assert found.clear
    assert interval(np.array(OURS))[1] > 3 * found.ci95  # which the spread of scores would hide


def test_episodes_are_paired_by_their_number():
    (found,) = from_baselines(Results([row(OURS), row(THEIRS[::-1], "raw")]))
    assert found.mean == pytest.approx(0.125) and found.ci95 > 0.4 and not found.clear


def test_what_is_not_scored_alike_is_not_compared():
    others = [
        {"ways": 20},
        {"shots": 5},
        {"metric": "F1"},
        {"support": ("image",)},
        {"task": "other"},
    ]
    others += [{"split": "val"}, {"step": 10}, {"evaluator": "other"}]
    assert (
        len(
            from_baselines(
                Results([row(OURS), *(row(THEIRS, "raw", **change) for change in others)])
            )
        )
        == 0
    )


@pytest.mark.parametrize(
    ("changes", "ours", "theirs"),
    [
        ({"candidates": 323, "metric": "R@1"}, OURS, THEIRS),
        ({"metric": "calibration error"}, [], []),
        ({"n": 0}, OURS, []),
        ({}, OURS, THEIRS[:3]),
        ({}, OURS[:1], THEIRS[:1]),
        ({}, OURS, [0.1, np.inf, 0.3, 0.6]),
        ({}, [0.1, np.inf, 0.3, 0.6], [0.1, np.inf, 0.3, 0.6]),
        ({"corruption": "noise", "modality": "image", "amount": 0.5}, OURS, THEIRS),
    ],
    ids=[
        "ranking",
        "calibration",
        "chance",
        "lengths",
        "one episode",
        "diverged",
        "both diverged",
        "corrupted",
    ],
)
def test_what_has_no_pairs_is_left_out(changes, ours, theirs):
    assert len(from_baselines(Results([row(ours, **changes), row(theirs, "raw", **changes)]))) == 0


def test_scores_over_some_queries_are_no_pairs_of_scores_over_all():
    some = {"subset": "names with a new word"}
    full, part = [row(OURS), row(THEIRS, "raw")], [row(THEIRS, **some), row(OURS, "raw", **some)]
    (found,) = from_baselines(Results([*full, *part]))
    assert found.mean == pytest.approx(0.125)


def test_an_error_is_better_below_zero():
    error = {"metric": "MAE", "percent": False, "higher_is_better": False}
    (found,) = from_baselines(Results([row(THEIRS, **error), row(OURS, "raw/mean", **error)]))
    assert found.mean == pytest.approx(-0.125) and found.clear and not found.higher_is_better


def test_the_same_scores_differ_by_nothing_and_not_clearly():
    (found,) = between(Results([row(OURS, "x"), row(OURS, "y")]), ["x", "y"])
    assert (found.mean, found.ci95, found.clear) == (0.0, 0.0, False)


def test_a_fused_mapping_less_each_of_its_parts():
    both, image, text = ("image", "text"), ("image",), ("text",)
    rows = Results(
        [
            row(OURS, support=both, query=both),
            row(THEIRS, support=image, query=image),
            row(THEIRS, support=text, query=both),
            row(THEIRS, support=image, query=text),
            row(THEIRS, "raw", support=image, query=image),
        ]
    )
    found = from_parts(rows)
    keys = [(d.key.predictor, d.key.minus, d.key.support, d.key.query) for d in found]
    assert keys[0] == ("ours", "ours, image:image", both, both)
    assert [minus for _, minus, _, _ in keys] == [
        "ours, image:image",
        "ours, text:image+text",
        "ours, image:text",
    ]
    assert all(d.mean == pytest.approx(0.125) for d in found)


def test_every_pair_once_the_earlier_less_the_later():
    rows = [row(np.array(OURS) / n, name) for n, name in enumerate("xyz", 1)]
    found = between(Results([*rows, row(THEIRS, "raw")]), ["z", "x", "y"])
    assert [(d.key.predictor, d.key.minus) for d in found] == [("z", "x"), ("z", "y"), ("x", "y")]
    assert [d.mean < 0 for d in found] == [True, True, False]


def test_plain_says_whether_it_is_clear():
    (found,) = differences(Results([row(OURS), row(THEIRS, "raw")]), [("ours", "raw")])
    assert found.plain() | {"mean": 0, "ci95": 0} == {
        "evaluator": "few_shot",
        "split": "test",
        "task": "classification",
        "predictor": "ours",
        "minus": "raw",
        "support": ["text"],
        "query": ["image"],
        "ways": 5,
        "shots": 1,
        "n": 4,
        "unit": "episodes",
        "role": "learned",
        "transductive": False,
        "metric": "accuracy",
        "percent": True,
        "higher_is_better": True,
        "mean": 0,
        "ci95": 0,
        "clear": True,
    }


def test_classes_that_differ_make_a_difference_less_certain():
    """Three languages in which one predictor is better than another by 0.1, 0.2 and 0.3,
    each played 20 times.
    """
    classes, better = np.arange(60)[:, None] % 3, 0.1 + 0.1 * (np.arange(60) % 3)
    rows = Results([row(better, classes=classes), row(np.zeros(60), "raw", classes)])
    (found,) = differences(rows, [("ours", "raw")])
    assert found.ci95 < 0.03 and found.ci95_classes == pytest.approx(4.303 * 0.1 / 3**0.5, rel=0.05)


def test_classes_that_are_hard_for_both_do_not_matter():
    """Of three languages one is harder than another, yet one predictor is better
    by an eighth in each.
    """
    classes, scores = np.arange(60)[:, None] % 3, 0.25 * (np.arange(60) % 3)
    rows = Results([row(scores + 0.125, classes=classes), row(scores, "raw", classes)])
    (found,) = differences(rows, [("ours", "raw")])
    assert (found.mean, found.ci95, found.ci95_classes) == (0.125, 0.0, 0.0)


def test_a_learner_is_compared_with_every_baseline_that_played_its_episodes(samples):
    """Frozen prototypes are the learner itself here: on identical episodes nothing
    is left between them.
    """
    learner = make_learner(MLP)
    learner.embedder.requires_grad_(False)
    results = measure(context_of(samples, baselines=["raw/nearest"]), learner)
    found = from_baselines(results)
    assert {d.key.predictor for d in found} == {"metric/prototype"}
    assert {d.key.minus for d in found} == {r.key.predictor for r in results if r.baseline} - {
        "chance"
    }
    assert {d.mean for d in found.where(minus="frozen/prototype")} == {0.0}  # the same parameters
    found = found.where(minus="raw/nearest")
    assert {(d.key.support[0], d.key.shots) for d in found} == {("image", 1), ("image", 2)}
