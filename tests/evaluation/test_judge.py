from dataclasses import replace

import pytest
import torch

from mmml.config.schema import EvalEpisodes, EvaluationConfig
from mmml.data.base import Granularity
from mmml.evaluation.baselines import frozen_classifiers
from mmml.evaluation.calibration import Calibration
from mmml.evaluation.judge import Judge
from mmml.evaluation.panel import episode_settings
from mmml.tasks import tasks
from tests.conftest import MLP, make_learner

MODALITIES = {"image": Granularity.SAMPLE, "text": Granularity.CLASS}


@pytest.fixture
def judge(samples):
    options = EvalEpisodes(ways=[3], shots=[1, 2], queries=2, mappings=["image:image", "text:image"])
    settings = episode_settings(options, MODALITIES, tasks.build("classification", {}, "task"))
    evaluation = EvaluationConfig(20, 20, 0, True, ["raw/nearest"], False)
    return Judge({"val": samples, "test": samples}, MODALITIES, settings, evaluation)


@pytest.fixture
def frozen():
    learner = make_learner(MLP)
    learner.embedder.requires_grad_(False)
    return learner


def calibrated(panel):
    return {c.predictor for c in panel.cells if c.metric == "calibration error"}


def counted(learner, monkeypatch):
    """How many values were embedded, once the list is summed up."""
    seen, encode = [], learner.embedder.encode

    def count(modality, raw):
        seen.append(len(raw))
        return encode(modality, raw)

    monkeypatch.setattr(learner.embedder, "encode", count)
    return seen


def test_the_panel_and_the_examples_share_one_embedding(judge, learner, samples, monkeypatch):
    seen = counted(learner, monkeypatch)
    embedded = judge.embed(learner)
    judge.test(learner, embedded=embedded)
    judge.examples(learner, embedded)
    assert sum(seen) == sum(len(c.values) for c in samples.columns.values())


def test_rules_on_frozen_features_embed_nothing_again(judge, frozen, samples, monkeypatch):
    seen = counted(frozen, monkeypatch)
    panel = judge.test(frozen, embedded=judge.embed(frozen))
    assert sum(seen) == sum(len(c.values) for c in samples.columns.values())
    rows = {(c.predictor, c.mapping, c.shots) for c in panel.cells if c.metric == "accuracy"}
    assert rows >= {
        (f"frozen/{classifier}", *where)
        for classifier in ("prototype", "ridge", "attention")
        for where in (("image:image", 1), ("image:image", 2), ("text:image", 1))
    }
    assert all(c.baseline for c in panel.cells if c.predictor.startswith("frozen/"))


def test_the_same_rule_on_the_same_features_has_the_same_score(judge, frozen):
    cells = judge.test(frozen).cells
    of = {p: [c.mean for c in cells if c.predictor == p and c.metric == "accuracy"] for p in ("metric/prototype",)}
    assert of["metric/prototype"] == [
        c.mean for c in cells if c.predictor == "frozen/prototype" and c.metric == "accuracy"
    ]


def test_confidence_is_judged_where_something_was_learned_or_frozen(judge, learner, frozen):
    assert not calibrated(judge.test(learner))  # nothing has said how far its confidence goes
    assert calibrated(judge.test(learner, judge.calibrate(learner))) == {"metric/prototype"}
    rows = {"metric/prototype", "frozen/prototype", "frozen/ridge", "frozen/attention"}
    assert calibrated(judge.test(frozen, judge.calibrate(frozen))) == rows


def as_it_is(calibration):
    """The same, but that it changes no confidence."""
    return Calibration(tuple(replace(e, temperature=1.0, slope=0.0) for e in calibration.entries))


def test_a_calibration_changes_confidence_and_nothing_else(judge, learner):
    calibration = judge.calibrate(learner)
    assert {(e.mapping, e.ways, e.shots) for e in calibration.entries} == {
        ("image:image", 3, 1),
        ("image:image", 3, 2),
        ("text:image", 3, 1),
    }
    before, after = judge.test(learner, as_it_is(calibration)), judge.test(learner, calibration)
    for one, other in zip(before.cells, after.cells, strict=True):
        assert (one == other) == (one.metric != "calibration error" or one.predictor != "metric/prototype")


def test_frozen_classifiers_are_calibrated_as_the_learner_is(judge, frozen):
    def errors(panel):
        return [c.mean for c in panel.cells if c.metric == "calibration error" and c.predictor == "frozen/ridge"]

    (classifier,) = [r for r in frozen_classifiers(frozen) if r.predictor_name == "frozen/ridge"]
    before = judge._panel(classifier, judge.embed(classifier), as_it_is(judge.calibrate(classifier)))
    after = judge.test(frozen, judge.calibrate(frozen))
    assert all(b < a for a, b in zip(errors(before), errors(after), strict=True))


def test_validation_selects_by_the_score_alone(judge, learner):
    scores = judge.validate(learner)
    assert list(scores) == judge.monitors(learner) and len(scores) == 4
    assert all(0 <= s <= 1 for s in scores.values())


def test_the_mean_of_validation_is_that_of_its_cells(judge, learner):
    mean, *each = judge.validate(learner).values()
    assert mean == pytest.approx(sum(each) / 3) and mean not in each and len(each) == 3


def test_classes_that_are_judged_are_shown_as_they_are(judge):
    for split in ("val", "test"):
        assert judge.sampler(split).draw(range(4), judge.settings[0].shape).variants is None


def test_judging_changes_no_parameter_and_no_mode(judge, frozen):
    frozen.train()
    before = {k: v.clone() for k, v in frozen.state_dict().items()}
    judge.test(frozen, judge.calibrate(frozen))
    assert frozen.training and frozen.embedder.training
    assert all(torch.equal(v, before[k]) for k, v in frozen.state_dict().items())


def test_samples_in_wrong_classes_are_a_row_where_they_are_asked_for(judge, learner):
    options = EvalEpisodes(ways=[2], shots=[1, 2], queries=2, mappings=["image:image"])
    settings = episode_settings(options, MODALITIES, judge.task)
    asked = replace(judge, settings=settings, options=replace(judge.options, permuted_targets=True))
    assert [control.predictor_name for control in asked.controls(learner)] == ["metric/prototype, permuted targets"]
    panel = asked.test(learner, controls=asked.controls(learner))
    assert {c.shots for c in panel.cells if c.predictor == "metric/prototype, permuted targets"} == {2}
    assert not judge.controls(learner)


def test_nothing_is_chosen_by_a_split_that_cannot_fill_the_episodes(judge, frozen, samples, caplog, monkeypatch):
    most = int(samples.counts.min())
    judge.settings = episode_settings(
        EvalEpisodes(ways=[3], shots=[1], queries=most, mappings=["image:image"]), MODALITIES, judge.task
    )
    assert not judge._fills("val") and f"plus queries={most} need {most + 1} samples" in caplog.text
    monkeypatch.setattr(Judge, "calibrate", None)
    panel = judge._frozen_panel(frozen, judge.embed(frozen), calibrated=True)
    assert "frozen/ridge" in {c.predictor for c in panel.cells} and not calibrated(panel)


def test_where_nothing_is_calibrated_a_sentence_says_so(judge):
    assert judge.doubts(Calibration()) == [
        "image:image, text:image: confidence is not calibrated, because validation cannot play it."
    ]
