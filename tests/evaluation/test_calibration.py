import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.episodes import EpisodeShape, ExampleSet, Mapping, Sampler
from mmml.episodes.corruptions import build_corruptions
from mmml.errors import UserError
from mmml.evaluation.calibration import (
    Calibration,
    Entry,
    Reliability,
    calibrate,
    calibration_error,
    class_distances,
)
from mmml.evaluation.predictions import episode_results
from mmml.evaluation.setting import EvalSetting
from mmml.tasks import tasks
from tests.conftest import MLP, make_learner

CLASSIFICATION = tasks.build("classification", {}, "task")
IMAGES = Mapping.parse("image:image")
QUARTERS = [0.0, 0.25, 0.5, 0.75, 1.0]


def gap(confidence, correct, bins=15):
    """The error of one row of predictions, each many times, of which nothing is known of chance."""
    return calibration_error(np.repeat(confidence, 20)[None], np.repeat(correct, 20)[None], bins)[0]


def test_the_error_is_the_gap_in_each_bin_squared_and_weighted_by_its_size():
    confidence = np.array([0.6, 0.6, 0.6, 0.6, 0.9, 0.9, 0.9, 0.9])
    correct = np.array([1, 0, 0, 0, 1, 1, 1, 0])
    assert gap(confidence, correct, bins=2) == pytest.approx(((0.35**2 + 0.15**2) / 2) ** 0.5)
    uneven = gap(np.array([0.6] * 3 + [0.9] * 5), np.array([0] * 3 + [1] * 5), bins=2)
    assert uneven == pytest.approx((3 / 8 * 0.6**2 + 5 / 8 * 0.1**2) ** 0.5)
    assert gap(confidence, correct, bins=1) == pytest.approx(0.25)
    # A gap up and a gap down are two gaps.
    assert gap(confidence, np.array([1, 1, 1, 1, 1, 1, 0, 0]), bins=2) == pytest.approx(0.4)


def test_bins_hold_equally_many():
    confidence = np.array([0.5, 0.91, 0.92, 0.93])
    correct = np.array([0, 1, 1, 1])
    # Two and two: (0 + 1 − 0.5 − 0.91) / 2 and (2 − 0.92 − 0.93) / 2; equal widths would
    # take the first alone.
    assert gap(confidence, correct, bins=2) == pytest.approx(((0.205**2 + 0.075**2) / 2) ** 0.5)


def test_equal_confidences_share_a_bin_whatever_their_order():
    confidence, correct = np.full(100, 0.5), np.arange(100) < 50
    assert gap(confidence, correct) == pytest.approx(0)
    assert gap(confidence, correct[::-1]) == pytest.approx(0)


def test_what_chance_adds_to_the_squares_is_taken_off():
    """Two episodes, one bin: a gap of 0.1 in the mean, ± 0.2 in each, whose variance over
    episodes is 0.2² · 2 / 2².
    """
    confidence, correct = np.full((2, 10), 0.5), np.repeat([[1], [0]], 10, axis=1)
    correct[0, :2], correct[1, :4] = 0, 1
    mean, half = calibration_error(confidence, correct)
    squares = 0.1**2 - 0.2**2
    assert mean == 0 and squares < 0
    assert half == pytest.approx((12.7062 * (2 * 0.04**2) ** 0.5) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("answers", [10, 100])
def test_perfect_calibration_is_seen_to_be_possible(answers):
    """Which a plain sum of gaps is not: it is above zero by chance alone, and its
    interval excludes zero.
    """
    rng, plain, found = np.random.default_rng(0), [], []
    for _ in range(60):
        confidence = rng.uniform(0.4, 1, (300, answers))
        correct = rng.random(confidence.shape) < confidence
        plain.append(gap(confidence.ravel(), correct.ravel()))
        found.append(calibration_error(confidence, correct))
    assert np.mean([mean - half <= 0 for mean, half in found]) > 0.93
    assert np.median([mean for mean, _ in found]) < 0.4 * np.median(plain)
    assert 15 < sum(mean == 0 for mean, _ in found) < 45


def test_the_error_of_confidence_that_is_too_high_is_found_and_covered():
    rng, found = np.random.default_rng(1), []
    for _ in range(60):
        confidence = rng.uniform(0.4, 1, (300, 25))
        found.append(
            calibration_error(confidence, rng.random(confidence.shape) < confidence - 0.05)
        )
    means, halves = map(np.array, zip(*found, strict=True))
    assert abs(means.mean() - 0.05) < 0.002
    assert (abs(means - 0.05) <= halves).mean() > 0.9


def test_the_interval_is_over_episodes():
    rng = np.random.default_rng(0)
    confidence = np.full((400, 10), 0.7)
    right = rng.random((400, 10)) < 0.5
    together = np.repeat(rng.random((400, 1)) < 0.5, 10, axis=1)
    mean, half = calibration_error(confidence, right)
    assert mean == pytest.approx(gap(confidence.ravel(), right.ravel()), abs=1e-3)
    assert half == pytest.approx(1.97 * 0.5 / 4000**0.5, rel=0.15)
    # Queries of an episode that are right or wrong together tell as much as one of them.
    assert calibration_error(confidence, together)[1] == pytest.approx(
        1.97 * 0.5 / 400**0.5, rel=0.25
    )
    assert calibration_error(confidence[:1], right[:1])[1] is None


def test_predictions_that_diverged_have_no_confidence_and_are_left_out():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.4, 1, (50, 10))
    correct = rng.random((50, 10)) < confidence - 0.1
    holes = np.concatenate([confidence, np.full((50, 3), np.nan)], axis=1)
    wrong = np.concatenate([correct, np.zeros((50, 3), bool)], axis=1)
    assert calibration_error(holes, wrong) == pytest.approx(calibration_error(confidence, correct))
    assert np.isnan(calibration_error(np.full((3, 2), np.nan), np.zeros((3, 2)))).all()


def test_episodes_that_diverged_as_a_whole_are_no_episodes():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.4, 1, (6, 10))
    correct = rng.random((6, 10)) < confidence - 0.1
    holes = np.concatenate([confidence, np.full((5, 10), np.nan)])
    wrong = np.concatenate([correct, np.zeros((5, 10), bool)])
    assert calibration_error(holes, wrong) == calibration_error(confidence, correct)
    # One is left, which says nothing of chance.
    assert calibration_error(holes[5:], wrong[5:])[1] is None


@pytest.mark.parametrize(("episodes", "answers"), [(20, 1), (5, 5), (10, 5), (100, 1)])
def test_few_predictions_seem_no_worse_calibrated_than_they_are(episodes, answers):
    rng, covered = np.random.default_rng(0), []
    for _ in range(200):
        confidence = rng.uniform(0.4, 1, (episodes, answers))
        error, half = calibration_error(confidence, rng.random(confidence.shape) < confidence)
        covered.append(error <= half)
    assert np.mean(covered) > 0.93


def entry(mapping="image:image", ways=5, shots=1, **values):
    defaults = {
        "temperature": 2.0,
        "slope": 0.0,
        "known": QUARTERS,
        "unknown": [1.0, 1.25, 1.5, 1.75, 2.0],
        "met": 5,
    }
    return Entry(mapping, ways, shots, **(defaults | values))


def test_a_threshold_rejects_the_share_asked_for():
    found = entry()
    assert found.threshold(0.75, 5) == pytest.approx(1.25)
    assert found.false_reject_rate(0.75, 5) == 0
    overlapping = entry(unknown=QUARTERS)
    assert overlapping.threshold(0.9, 5) == pytest.approx(0.1)
    assert overlapping.false_reject_rate(0.9, 5) == pytest.approx(0.9)
    for share in (0.0, 1.0, 90.0):
        with pytest.raises(UserError, match="reject"):
            found.threshold(share, 5)


def test_the_nearest_entry_of_a_mapping_is_nearest_in_ratio():
    entries = [entry(ways=w, shots=s) for w in (5, 20) for s in (1, 5)] + [
        entry("image+text:image", 5, 1)
    ]
    calibration = Calibration(tuple(entries))
    assert calibration.of("image:image", 9, 2) is entries[0]
    assert calibration.of(IMAGES, 11, 3) is entries[3]
    assert calibration.of("text+image:image", 100, 7) is entries[4]
    assert calibration.of("text:image", 5, 1) is None


def test_an_entry_applies_its_temperature():
    logs = torch.tensor([[0.75, 0.25]]).log()
    assert torch.allclose(entry().apply(logs), (logs.double() / 2).log_softmax(-1))


def test_an_entry_applies_its_temperature_and_its_slope():
    logs = torch.tensor([[0.9, 0.1], [0.5, 0.5]], dtype=torch.float64).log()
    bits = -(0.9 * np.log2(0.9) + 0.1 * np.log2(0.1))
    expected = torch.stack([logs[0] / (2 * bits), logs[1] / 2]).log_softmax(-1)
    assert torch.allclose(entry(slope=1.0).apply(logs), expected)


def test_a_calibration_is_plain_data():
    calibration = Calibration((entry(), entry("text:image", slope=0.5)))
    plain = json.loads(json.dumps(calibration.plain()))
    assert Calibration.from_plain(plain) == calibration


def test_novelty_is_the_distance_to_the_nearest_class_mean(learner):
    # Means: up right, and down.
    support = torch.tensor([[[[1.0, 0.0], [1.0, 2.0]], [[0.0, -1.0], [0.0, -3.0]]]])
    query = torch.tensor([[[[2.0, 2.0]], [[-1.0, 0.0]]]])
    sides = (
        ExampleSet({"image": Column(v, encoded=True)}, {"image": tuple(v.shape[:3])})
        for v in (support, query)
    )
    assert class_distances(learner.embedder, *sides)[0].amin(-1).tolist() == pytest.approx(
        [0.0, 1.0], abs=1e-6
    )


def directions(classes=6, noise=0.0):
    """Embedded samples: class c points in direction c, more or less."""
    generator = torch.Generator().manual_seed(0)
    values = torch.eye(classes).repeat_interleave(8, 0)
    values = values + noise * torch.randn(values.shape, generator=generator)
    column = Column(values, encoded=True)
    return Samples([str(c) for c in range(classes)], np.arange(classes + 1) * 8, {"image": column})


def calibrated(samples, *shapes, episodes=60, classifier="prototype"):
    settings = [EvalSetting("few_shot", CLASSIFICATION, shape, (IMAGES,)) for shape in shapes]
    return calibrate(
        make_learner(MLP, classifier=classifier),
        samples,
        Sampler(samples, 0, "val"),
        settings,
        episodes,
    )


def test_known_and_unknown_queries_are_told_apart():
    (found,) = calibrated(directions(), EpisodeShape(3, 2, 2)).entries
    assert (found.mapping, found.ways, found.shots) == ("image:image", 3, 2)
    assert found.known == pytest.approx([0.0] * 101, abs=1e-6)
    assert found.unknown == pytest.approx([1.0] * 101, abs=1e-6)
    assert found.false_reject_rate(0.9, 3) == 0


def test_the_threshold_holds_on_other_episodes():
    samples = directions(20, noise=0.6)
    (found,) = calibrated(samples, EpisodeShape(4, 1, 4), episodes=200).entries
    again = calibrate(
        make_learner(MLP),
        samples,
        Sampler(samples, 1, "val"),
        [EvalSetting("few_shot", CLASSIFICATION, EpisodeShape(4, 1, 4), (IMAGES,))],
        200,
    ).entries[0]
    rejected = 1 - np.interp(found.threshold(0.9, 4), again.unknown, np.linspace(0, 1, 101))
    assert rejected == pytest.approx(0.9, abs=0.03)
    assert again.false_reject_rate(0.9, 4) == pytest.approx(
        found.false_reject_rate(0.9, 4), abs=0.05
    )


def test_the_threshold_holds_for_more_classes_than_it_was_measured_with():
    samples = directions(40, noise=0.6)
    (few,), (many,) = (
        calibrated(samples, EpisodeShape(w, 1, 4), episodes=200).entries for w in (3, 12)
    )
    assert (few.met, many.met) == (3, 12)
    rejected = 1 - np.interp(few.threshold(0.9, 12), many.unknown, np.linspace(0, 1, 101))
    uncorrected = 1 - np.interp(few.threshold(0.9, 3), many.unknown, np.linspace(0, 1, 101))
    assert uncorrected < 0.75 and rejected == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("name", ["noise", "occlusion"])
def test_what_is_corrupted_anew_in_each_episode_is_embedded_after_it(samples, name):
    section = {"name": name, "modality": "image", "amount": 1.0, "side": "both"}
    corruptions = build_corruptions([section], "episode.eval.corruptions")
    setting = EvalSetting("few_shot", CLASSIFICATION, EpisodeShape(3, 2, 2), (IMAGES,))
    corrupted, clean = (
        calibrate(make_learner(), samples, Sampler(samples, 0, "val", corruptions=c), [setting], 20)
        for c in (corruptions, ())
    )
    assert corrupted.entries[0].known != clean.entries[0].known


def test_it_is_a_pure_function():
    samples = directions(8, noise=0.5)
    assert calibrated(samples, EpisodeShape(3, 1, 2)) == calibrated(samples, EpisodeShape(3, 1, 2))


def test_shapes_that_validation_cannot_fill_are_left_out():
    assert [
        e.ways
        for e in calibrated(
            directions(6), EpisodeShape(3, 1, 2), EpisodeShape(7, 1, 2), EpisodeShape(3, 8, 2)
        ).entries
    ] == [3]


def test_classes_of_one_sample_are_calibrated_where_texts_tell_them():
    """As in the results, a side that shows no single samples needs none."""
    image = Column(torch.eye(8), encoded=True)
    text = Column(torch.eye(8), starts=np.arange(9), encoded=True)
    samples = Samples([*"abcdefgh"], np.arange(9), {"image": image, "text": text})
    setting = EvalSetting(
        "few_shot", CLASSIFICATION, EpisodeShape(3, 1, 1), (IMAGES, Mapping.parse("text:image"))
    )
    (found,) = calibrate(
        make_learner(MLP), samples, Sampler(samples, 0, "val"), [setting], 20
    ).entries
    assert (found.mapping, found.ways, found.shots) == ("text:image", 3, 1)


def test_what_was_not_calibrated_has_no_calibration_error():
    samples = directions(12)
    setting = EvalSetting("few_shot", CLASSIFICATION, EpisodeShape(5, 1, 2), (IMAGES,))
    reliability = Reliability(Calibration((entry("text:image"),)))
    learner = make_learner(MLP)
    episode_results(
        learner, samples, Sampler(samples, 0, "test"), [setting], 5, [reliability.watch]
    )
    assert not len(reliability.results(learner, "test"))


def test_a_temperature_at_the_end_of_its_range_is_told():
    hot = replace(entry(), temperature=9999.0)
    assert not Calibration((entry(),)).notes([IMAGES])
    assert Calibration((hot,)).notes([IMAGES]) == [
        "image:image 5-way 1-shot: the temperature 1e+04 is at the end of its range: "
        "confidence does not say whether a prediction is right."
    ]


@pytest.mark.parametrize("classifier", ["prototype", "nearest", "ridge", "attention"])
def test_calibrated_confidence_is_nearer_to_accuracy(classifier):
    samples, shape = directions(12, noise=0.45), EpisodeShape(5, 4, 4)
    learner = make_learner(MLP, classifier=classifier)
    calibration = calibrated(samples, shape, episodes=200, classifier=classifier)
    errors = []
    as_it_is = Calibration(
        tuple(replace(e, temperature=1.0, slope=0.0) for e in calibration.entries)
    )
    for given in (as_it_is, calibration):
        reliability = Reliability(given)
        setting = EvalSetting("few_shot", CLASSIFICATION, shape, (IMAGES,))
        episode_results(
            learner, samples, Sampler(samples, 0, "test"), [setting], 200, [reliability.watch]
        )
        (row,) = reliability.results(learner, "test")
        assert (row.key.metric, row.percent, row.n, len(row.scores)) == (
            "calibration error",
            True,
            200,
            0,
        )
        errors.append(row.mean)
    assert errors[1] < 0.05 < errors[0]
