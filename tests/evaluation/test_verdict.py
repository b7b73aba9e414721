from dataclasses import replace

import numpy as np
import pytest

from mmml.evaluation.results import Results
from mmml.evaluation.verdict import Comparison, verdicts
from mmml.methods import Role
from tests.evaluation.test_paired import row

RNG = np.random.default_rng(0)
HARD = RNG.normal(0, 0.2, 200)  # what makes an episode hard for all
CHRF, BLEU, MAE = ("chrF", True), ("BLEU", True), ("MAE", False)
ROLES = {
    "learned": Role.LEARNED,
    "no support": Role.NO_SUPPORT,
    "permuted": Role.PERMUTED,
    "constant": Role.CONSTANT,
    "other constant": Role.CONSTANT,
    "raw": Role.UNTRAINED,
    "frozen": Role.UNTRAINED,
    "tuned": Role.TUNED,
}
USUAL = {
    "learned": 0.5,
    "no support": 0.2,
    "permuted": 0.3,
    "constant": 0.35,
    "other constant": 0.1,
    "raw": 0.4,
}


def table(means, metric=CHRF, shots=5, task="generation"):
    """Rows of these means in the same episodes, with a little noise of their own."""
    name, higher = metric
    rows = []
    for predictor, mean in means.items():
        scores = mean + HARD + np.random.default_rng(len(predictor)).normal(0, 0.01, 200)
        about = {"task": task, "ways": 1, "shots": shots, "metric": name, "target": "text"}
        about |= {
            "role": ROLES[predictor],
            "n": 200,
            "higher_is_better": higher,
            "mean": float(scores.mean()),
        }
        rows.append(row(scores, predictor, **about))
    return Results(rows)


def together(*tables):
    return Results([r for table in tables for r in table])


def test_a_row_passes_that_is_better_than_the_best_of_each_role():
    (verdict,) = verdicts(table(USUAL))
    assert verdict.passed and not verdict.missing and not verdict.losses
    assert [(c.role, c.other) for c in verdict.comparisons] == [
        (Role.NO_SUPPORT, "no support"),
        (Role.PERMUTED, "permuted"),
        (Role.CONSTANT, "constant"),
        (Role.UNTRAINED, "raw"),
    ]
    assert [c.mean for c in verdict.comparisons] == pytest.approx([0.3, 0.2, 0.15, 0.1], abs=0.005)
    assert verdict.plain()["passed"]


@pytest.mark.parametrize("control", ["no support", "permuted", "constant", "raw"])
@pytest.mark.parametrize("mean", [0.5, 0.6])
def test_a_row_fails_that_is_no_better_than_one_of_them(control, mean):
    (verdict,) = verdicts(table(USUAL | {control: mean}))
    assert not verdict.passed
    assert {c.other for c in verdict.comparisons if not c.better} == {control}


def test_the_best_untrained_row_is_the_one_to_beat():
    (verdict,) = verdicts(table(USUAL | {"frozen": 0.55}))
    assert (
        not verdict.passed
        and verdict.comparisons[-1].other == "frozen"
        and verdict.comparisons[-1].worse
    )


def test_rules_that_are_tuned_need_not_be_beaten():
    (verdict,) = verdicts(table(USUAL | {"tuned": 0.9}))
    assert verdict.passed


def test_a_row_fails_that_is_worse_by_another_metric():
    """At 100 pairs a translation had 1.4 chrF more than the nearest by n-grams,
    and 4.9 BLEU less.
    """
    other = USUAL | {"raw": 0.55}
    (verdict,) = verdicts(together(table(USUAL), table(other, BLEU)))
    assert not verdict.passed and all(c.better for c in verdict.comparisons)
    assert [(c.metric, c.other) for c in verdict.losses] == [("BLEU", "raw")]
    (verdict,) = verdicts(together(table(USUAL), table(USUAL | {"raw": 0.5}, BLEU)))
    assert verdict.passed  # neither better nor worse


def test_chance_stands_for_nothing_else():
    known = table({name: USUAL[name] for name in ("learned", "permuted", "constant", "no support")})
    known.add(
        replace(
            known.rows[0].keyed(predictor="chance"), role=Role.CHANCE, mean=0.1, scores=np.empty(0)
        )
    )
    (verdict,) = verdicts(known)
    assert verdict.missing == (Role.UNTRAINED,) and not verdict.passed


def test_the_same_scores_are_neither_better_nor_worse():
    equal = table(USUAL)
    equal.rows[-1] = replace(equal.rows[-1], scores=equal.rows[0].scores.copy())
    (verdict,) = verdicts(equal)
    same = verdict.comparisons[-1]
    assert (same.mean, same.ci95, same.better, same.worse) == (
        0,
        0,
        False,
        False,
    ) and not verdict.passed


def test_worse_is_what_is_clearly_worse():
    of = {"percent": False, "higher_is_better": True, "ci95": 0.1}
    lost, level, won = (
        Comparison(Role.UNTRAINED, "raw", "chrF", mean=m, **of) for m in (-0.2, -0.05, 0.2)
    )
    assert [(c.better, c.worse) for c in (lost, level, won)] == [
        (False, True),
        (False, False),
        (True, False),
    ]


def test_a_part_of_the_queries_decides_nothing():
    part = table(USUAL | {"learned": 0.9})
    part = part.keyed(subset="names with a new word")
    assert verdicts(part) == []
    lost = table(USUAL | {"learned": 0.1})
    (verdict,) = verdicts(together(lost, part.rows[:1]))
    assert not verdict.passed and [c.mean < 0 for c in verdict.comparisons] == [True] * 4


def test_less_is_better_of_errors():
    errors = {name: 1 - mean for name, mean in USUAL.items()}
    (verdict,) = verdicts(table(errors, MAE, task="regression"))
    assert verdict.passed and all(c.mean > 0 for c in verdict.comparisons)
    (verdict,) = verdicts(table(USUAL, MAE, task="regression"))
    assert not any(c.better for c in verdict.comparisons)


def test_the_largest_support_set_decides():
    (verdict,) = verdicts(
        together(table(USUAL | {"learned": 0.1}, shots=1), table(USUAL, shots=20))
    )
    assert verdict.key.shots == 20 and verdict.passed


@pytest.mark.parametrize("control", ["no support", "constant", "raw"])
def test_nothing_is_claimed_without_a_row_of_each_role(control):
    known = {name: mean for name, mean in USUAL.items() if ROLES[name] != ROLES[control]}
    (verdict,) = verdicts(table(known))
    assert not verdict.passed and verdict.missing == (ROLES[control],)


def test_chance_stands_for_a_constant_and_for_no_support():
    classes = table(
        {name: USUAL[name] for name in ("learned", "permuted", "raw")}, ("accuracy", True)
    )
    chance = {"role": Role.CHANCE, "mean": 0.2, "n": 0, "ci95": 0.0, "scores": np.empty(0)}
    classes.add(replace(classes.rows[0].keyed(predictor="chance"), **chance))
    classes.rows[0] = replace(classes.rows[0], ci95=0.03)
    (verdict,) = verdicts(classes)
    assert verdict.passed
    assert [(c.other, round(c.mean, 1)) for c in verdict.comparisons[::2]] == [
        ("chance", 0.3),
        ("chance", 0.3),
    ]
    assert verdict.comparisons[0].ci95 == 0.03
    classes.rows[0] = replace(classes.rows[0], ci95=0.31)
    assert not verdicts(classes)[0].passed


@pytest.mark.parametrize(("part", "counts"), [("audio", True), ("image", True), ("text", False)])
def test_a_row_of_several_modalities_must_beat_untrained_rows_of_each_of_them(part, counts):
    fused = table(USUAL)
    sides = [(part,) if r.role is Role.UNTRAINED else ("audio", "image") for r in fused]
    fused = Results(
        [r.keyed(support=shown, query=shown) for r, shown in zip(fused, sides, strict=True)]
    )
    (verdict,) = verdicts(fused)
    assert verdict.passed == counts and (Role.UNTRAINED in verdict.missing) != counts
    if counts:
        assert verdict.comparisons[-1].other == f"raw, {part}:{part}"
        assert verdict.comparisons[-1].mean == pytest.approx(0.1, abs=0.005)
    alone = [r.keyed(support=("audio",)) if r.role is Role.LEARNED else r for r in fused]
    assert verdicts(Results(alone)) == []  # no control shows what it does


def test_what_diverged_does_not_pass_however_good_it_is_by_other_metrics():
    lost = table(USUAL, ("log loss", False))
    lost.rows[0] = replace(lost.rows[0], mean=float("nan"), ci95=float("nan"))
    (verdict,) = verdicts(together(table(USUAL), lost))
    assert not verdict.passed and verdict.diverged == ("log loss",) and not verdict.losses
    (verdict,) = verdicts(together(lost, table(USUAL)))
    assert not verdict.passed and verdict.diverged == ("log loss",) and verdict.comparisons == ()


def test_tables_without_controls_have_no_verdict():
    assert verdicts(table({"learned": 0.5, "no support": 0.1, "raw": 0.4, "constant": 0.1})) == []
