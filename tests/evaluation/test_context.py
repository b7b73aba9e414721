from dataclasses import replace

import pytest
import torch

from mmml.errors import UserError
from mmml.evaluation.baselines import frozen_classifiers
from mmml.evaluation.calibration import Calibration
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.evaluator import (
    Player,
    build_evaluators,
    collect_examples,
    run_evaluators,
)
from mmml.evaluation.evaluators.few_shot import FewShot
from mmml.evaluation.evaluators.gallery import Gallery
from tests.conftest import MLP, make_learner
from tests.evaluation.making import context_of, measure, settings_of


@pytest.fixture
def context(samples):
    return context_of(samples, baselines=["raw/nearest"])


@pytest.fixture
def frozen():
    learner = make_learner(MLP)
    learner.embedder.requires_grad_(False)
    return learner


def calibrated(results):
    return {c.key.predictor for c in results if c.key.metric == "calibration error"}


def counted(learner, monkeypatch):
    """How many values were embedded, once the list is summed up."""
    calls, encode = [], learner.embedder.encode

    def count(modality, raw):
        calls.append(len(raw))
        return encode(modality, raw)

    monkeypatch.setattr(learner.embedder, "encode", count)
    return calls


def test_the_table_and_the_examples_share_one_embedding(context, learner, samples, monkeypatch):
    calls, evaluators = counted(learner, monkeypatch), [FewShot(), Gallery(12)]
    results, players = run_evaluators(learner, None, evaluators, context)
    collect_examples(players, evaluators, context)
    assert results and sum(calls) == sum(len(c.values) for c in samples.columns.values())


class Twice(FewShot):
    """An evaluator with a mistake: it gives each row twice."""

    def run(self, player, context):
        rows = super().run(player, context)
        rows.extend(list(rows))
        return rows


def test_rows_with_the_same_key_are_refused(context, learner):
    with pytest.raises(ValueError, match="gave 2 rows where there should be one"):
        run_evaluators(learner, None, [Twice()], context)


def test_no_evaluator_is_refused(context):
    with pytest.raises(UserError, match=r"evaluation/evaluators=\[\] measures nothing"):
        build_evaluators(replace(context.options, evaluators={}), EpisodeContext)


def test_rules_on_frozen_features_embed_nothing_again(context, frozen, samples, monkeypatch):
    calls = counted(frozen, monkeypatch)
    results = measure(context, frozen)
    assert sum(calls) == sum(len(c.values) for c in samples.columns.values())
    rows = {
        (r.key.predictor, r.key.mapping, r.key.shots) for r in results if r.key.metric == "accuracy"
    }
    assert rows >= {
        (f"frozen/{classifier}", *where)
        for classifier in ("prototype", "ridge", "attention")
        for where in (("image:image", 1), ("image:image", 2), ("text:image", 1))
    }
    assert all(r.baseline for r in results if r.key.predictor.startswith("frozen/"))


def test_the_same_rule_on_the_same_features_has_the_same_score(context, frozen):
    results = measure(context, frozen).where(metric="accuracy")
    learned, untrained = (
        [r.mean for r in results.where(predictor=p)]
        for p in ("metric/prototype", "frozen/prototype")
    )
    assert learned == untrained and len(learned) == 3


def test_confidence_is_measured_where_something_was_learned_or_frozen(context, learner, frozen):
    assert not calibrated(measure(context, learner))  # nothing has said how far its confidence goes
    assert calibrated(measure(context, learner, context.calibrate(learner))) == {"metric/prototype"}
    rows = {"metric/prototype", "frozen/prototype", "frozen/ridge", "frozen/attention"}
    assert calibrated(measure(context, frozen, context.calibrate(frozen))) == rows


def as_it_is(calibration):
    """The same, but that it changes no confidence."""
    return Calibration(tuple(replace(e, temperature=1.0, slope=0.0) for e in calibration.entries))


def test_a_calibration_changes_confidence_and_nothing_else(context, learner):
    calibration = context.calibrate(learner)
    assert {(e.mapping, e.ways, e.shots) for e in calibration.entries} == {
        ("image:image", 3, 1),
        ("image:image", 3, 2),
        ("text:image", 3, 1),
    }
    before, after = (measure(context, learner, c) for c in (as_it_is(calibration), calibration))
    for one, other in zip(before, after, strict=True):
        assert (one == other) == (one.key.metric != "calibration error" or one.baseline)


def test_frozen_classifiers_are_calibrated_as_the_learner_is(context, frozen):
    def errors(results):
        return [r.mean for r in results.where(metric="calibration error", predictor="frozen/ridge")]

    (classifier,) = [r for r in frozen_classifiers(frozen) if r.predictor_name == "frozen/ridge"]
    before = FewShot().run(
        Player(classifier, context.embed(classifier), as_it_is(context.calibrate(classifier))),
        context,
    )
    after = measure(context, frozen, context.calibrate(frozen))
    assert len(errors(after)) == 3
    assert all(b < a for a, b in zip(errors(before), errors(after), strict=True))


def test_validation_selects_by_the_score_alone(context, learner):
    scores = context.validate(learner)
    assert list(scores) == context.monitors(learner) and len(scores) == 4
    assert all(0 <= s <= 1 for s in scores.values())


def test_the_mean_of_validation_is_that_of_its_rows(context, learner):
    mean, *each = context.validate(learner).values()
    assert mean == pytest.approx(sum(each) / 3) and mean not in each and len(each) == 3


def test_classes_that_are_tested_are_shown_as_they_are(context):
    for split in ("val", "test"):
        assert context.sampler(split).draw(range(4), context.settings[0].shape).variants is None


def test_evaluation_changes_no_parameter_and_no_mode(context, frozen):
    frozen.train()
    before = {k: v.clone() for k, v in frozen.state_dict().items()}
    measure(context, frozen, context.calibrate(frozen))
    assert frozen.training and frozen.embedder.training
    assert all(torch.equal(v, before[k]) for k, v in frozen.state_dict().items())


def test_samples_in_wrong_classes_are_a_row_where_they_are_asked_for(context, learner):
    settings = settings_of(ways=[2], mappings=["image:image"])
    requested = replace(
        context, settings=settings, options=replace(context.options, permuted_targets=True)
    )
    assert [control.predictor_name for control in requested.controls(learner)] == [
        "metric/prototype, permuted targets"
    ]
    permuted = measure(requested, learner).where(predictor="metric/prototype, permuted targets")
    assert {r.key.shots for r in permuted} == {2}
    assert not context.controls(learner)


def test_nothing_is_chosen_by_a_split_that_cannot_fill_the_episodes(
    context, frozen, samples, caplog, monkeypatch
):
    most = int(samples.counts.min())
    context.settings = settings_of(shots=[1], queries=most, mappings=["image:image"])
    assert (
        not context._fills("val") and f"plus queries={most} need {most + 1} samples" in caplog.text
    )
    monkeypatch.setattr(EpisodeContext, "calibrate", None)
    players = list(context._frozen(frozen, context.embed(frozen), calibrated=True))
    assert "frozen/ridge" in {p.learner.predictor_name for p in players}
    assert all(p.calibration == Calibration() for p in players)


def test_where_nothing_is_calibrated_a_sentence_says_so(context):
    assert context.doubts(Calibration()) == [
        "image:image, text:image: confidence is not calibrated, because validation cannot play it."
    ]
