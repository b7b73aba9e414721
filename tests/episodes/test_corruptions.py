from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.data.column import Column
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather
from mmml.episodes.corruptions import build_corruptions, corruptions
from mmml.errors import UserError
from mmml.evaluation.predictions import predict
from mmml.evaluation.setting import EvalSetting
from mmml.tasks import tasks
from tests.conftest import make_learner

BOTH = Mapping.parse("image+text:image")
SHAPE = EpisodeShape(4, 2, 1)


def built(*sections):
    return build_corruptions(sections, "episode.eval.corruptions")


def drawn(samples, *sections, numbers=range(50), seed=0):
    return gather(
        samples,
        Sampler(samples, seed, "test", corruptions=built(*sections)).draw(numbers, SHAPE),
        [BOTH],
    )


def corrupt(name, value, amount, modality, number=0):
    made = corruptions.build(name, {"modality": modality, "amount": amount, "side": "both"}, "x")
    return made.corrupt(value, np.random.default_rng(number))


def test_a_share_of_the_items_loses_its_modality_on_the_side_that_is_told(samples):
    batch = drawn(
        samples, {"name": "missing", "modality": "image", "amount": 0.3, "side": "support"}
    )
    clean = drawn(samples)
    images = batch.support.columns["image"]
    assert len(images.mask) == 400 and 0.6 < images.mask.float().mean() < 0.8
    assert torch.equal(images.present[:], clean.support.values["image"][images.mask])
    assert batch.query.columns["image"].mask is None and batch.support.columns["text"].mask is None
    assert torch.equal(batch.query.values["image"], clean.query.values["image"])
    assert batch.support.values["text"].tolist() == clean.support.values["text"].tolist()


def test_what_a_small_amount_corrupts_a_larger_one_corrupts_too(samples):
    few, more = (
        drawn(samples, {"name": "missing", "modality": "image", "amount": a})
        .query.columns["image"]
        .mask
        for a in (0.2, 0.6)
    )
    assert few.sum() > more.sum() and not (more & ~few).any()


@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("mismatched", "text"),
        ("typos", "text"),
        ("mismatched", "image"),
        ("noise", "image"),
        ("occlusion", "image"),
    ],
)
def test_corruption_is_a_pure_function_of_the_episode(samples, name, modality):
    section = {"name": name, "modality": modality, "amount": [0.4, 0.6]}

    def side_of(batch):
        return batch.support.values[modality]

    def shown(*numbers, seed=0):
        return side_of(drawn(samples, section, numbers=numbers, seed=seed)).tolist()

    both = shown(3, 7)
    assert both[len(both) // 2 :] == shown(7) and both[: len(both) // 2] == shown(3)
    assert shown(7) != shown(7, seed=1)
    assert shown(7) != side_of(drawn(samples, numbers=[7])).tolist()


def test_swapped_names_are_those_of_other_classes_of_the_episode(samples):
    batch = drawn(
        samples, {"name": "mismatched", "modality": "text", "amount": 1.0, "side": "support"}
    )
    clean, wrong = (b.support.values["text"].reshape(50, 4) for b in (drawn(samples), batch))
    assert (clean != wrong).all() and (np.sort(clean, axis=1) == np.sort(wrong, axis=1)).all()
    half = drawn(
        samples, {"name": "mismatched", "modality": "text", "amount": 0.5, "side": "support"}
    )
    assert 0.4 < (half.support.values["text"].reshape(50, 4) != clean).mean() < 0.6


@pytest.mark.parametrize(("items", "amount"), [(2, 0.5), (5, 0.25), (20, 0.25)])
def test_of_few_items_as_large_a_share_is_swapped(items, amount):
    swap = corruptions.build(
        "mismatched", {"modality": "text", "amount": amount, "side": "both"}, "x"
    )
    index, present = np.arange(items), np.arange(items) > 0
    moved = [swap.reindex(index, present, np.random.default_rng(i)) for i in range(1000)]
    # What is missing moves along.
    assert all((kept == (shown > 0)).all() for shown, kept in moved)
    shares = [(shown != index).mean() for shown, _ in moved]
    assert np.mean(shares) == pytest.approx(amount, abs=0.03)


def test_embeddings_that_are_missing_are_masked_and_what_a_column_lacks_stays_missing(samples):
    section = {"name": "missing", "modality": "image", "amount": 0.5}
    embedded = samples.with_embeddings({"image": torch.ones(39, 3), "text": torch.ones(9, 3)})
    images = drawn(embedded, section).query.columns["image"]
    assert images.values.shape == (50, 4, 1, 3) and images.mask.shape == (50, 4, 1)
    assert 0.3 < images.mask.float().mean() < 0.7 and (images.values[..., 0] == images.mask).all()
    gappy = Column(samples.columns["image"].values, torch.arange(39) % 3 > 0)
    corrupted = drawn(
        replace(samples, columns={**samples.columns, "image": gappy}), section
    ).query.columns["image"]
    raw = drawn(samples, section).query.columns["image"]
    assert 0 < corrupted.mask.sum() < raw.mask.sum() and not (corrupted.mask & ~raw.mask).any()


def test_a_modality_can_repeat_another(samples):
    images, names = torch.randn(39, 3), torch.randn(9, 3)
    embedded = samples.with_embeddings({"image": images, "text": names})
    section = {
        "name": "redundant",
        "modality": "text",
        "of": "image",
        "amount": 1.0,
        "side": "support",
    }
    support, query = drawn(embedded, section).view(BOTH)
    assert torch.equal(support.items("text"), support.items("image"))
    assert torch.equal(support.episode(3).items("text"), support.items("text")[3:4])
    assert not query.copies and not support.only(["text"]).copies
    both = support.copied()
    assert torch.equal(
        both.only(["text"]).items("text"),
        both.only(["image"]).items("image").reshape(50, 4, 2, 3)[:, :, 0],
    )
    clean = drawn(embedded).support
    assert torch.equal(support.only(["text"]).items("text"), clean.only(["text"]).items("text"))


def test_an_amount_may_be_drawn_for_each_episode(samples):
    batch = drawn(
        samples,
        {"name": "missing", "modality": "image", "amount": [0.2, 0.8], "side": "query"},
        numbers=range(400),
    )
    shares = 1 - batch.query.columns["image"].mask.view(400, 4).float().mean(1)
    # More than by luck.
    assert shares.mean() == pytest.approx(0.5, abs=0.05) and shares.var() > 0.25 / 4 + 0.015
    noisy = corruptions.build(
        "noise", {"modality": "image", "amount": [0.1, 0.5], "side": "both"}, "x"
    )
    assert (
        noisy.in_episode(np.random.default_rng(0)).amount
        != noisy.in_episode(np.random.default_rng(1)).amount
    )


def test_noise_is_as_strong_as_is_said():
    grey = np.full((64, 64), 128, np.uint8)
    noisy = corrupt("noise", grey, 0.1, "image")
    assert noisy.dtype == np.uint8 and noisy.astype(float).std() == pytest.approx(25.5, rel=0.05)
    sound = np.sin(np.arange(16000, dtype=np.float32) / 10)
    noise = corrupt("noise", sound, 0.1, "audio") - sound
    assert 10 * np.log10(np.square(sound).mean() / np.square(noise).mean()) == pytest.approx(
        20, abs=0.2
    )
    features = np.random.default_rng(1).normal(5, [1.0, 10.0], (5000, 2)).astype(np.float32)
    moved = corrupt("noise", features, 0.5, "audio_features") - features
    assert moved.dtype == np.float32 and np.allclose(moved.std(0), [0.5, 5], rtol=0.05)
    gaps = np.concatenate([features[:100], np.zeros((300, 2), np.float32)])
    moved = corrupt("noise", gaps, 0.5, "audio_features") - gaps
    # What is missing stays so.
    assert not moved[100:].any() and np.allclose(moved[:100].std(0), [0.5, 5], rtol=0.3)
    assert not corrupt("noise", gaps[100:], 0.5, "audio_features").any()
    # A single step.
    assert corrupt("noise", gaps[99:], 0.5, "audio_features")[0].tolist() != gaps[99].tolist()
    strokes = np.random.default_rng(2).random((50, 4)).astype(np.float32)
    drawn_again = corrupt("noise", strokes, 0.3, "strokes")
    assert (drawn_again[:, 2:] == strokes[:, 2:]).all() and (
        drawn_again[:, :2] != strokes[:, :2]
    ).all()


def test_sounds_are_drowned_at_a_ratio_in_decibels():
    sound = np.sin(np.arange(16000, dtype=np.float32) / 10)
    for decibels in (20, 0, -5):
        (given,) = built({"name": "audio_noise", "modality": "audio", "snr": decibels})
        made = given.in_episode(np.random.default_rng(1))
        noise = made.corrupt(sound, np.random.default_rng(0)) - sound
        assert 10 * np.log10(np.square(sound).mean() / np.square(noise).mean()) == pytest.approx(
            decibels, abs=0.2
        )
    (ranged,) = built({"name": "audio_noise", "modality": "audio", "snr": [-6, 6]})
    found = [-20 * np.log10(ranged.in_episode(np.random.default_rng(i)).amount) for i in range(200)]
    assert -6 <= min(found) < -5 and 5 < max(found) <= 6 and abs(np.median(found)) < 1
    wrong = [("audio", snr, "snr=") for snr in ([], [20, -5], -10000, [float("nan"), 1])]
    for modality, snr, message in (("image", 5, "modality=image must be one of audio"), *wrong):
        with pytest.raises(UserError, match=message):
            built({"name": "audio_noise", "modality": modality, "snr": snr})


def test_a_square_is_covered():
    grey = np.full((3, 40, 40), 128, np.uint8)
    covered = corrupt("occlusion", grey, 0.25, "image") != 128
    assert covered.mean() == pytest.approx(0.25, abs=0.01) and (covered == covered[:1]).all()
    assert (corrupt("occlusion", grey, 1.0, "image") != 128).all()
    assert (grey == 128).all()  # the dataset's own


def test_characters_are_mistyped():
    text = "the quick brown fox jumps over the lazy dog" * 10
    assert corrupt("typos", text, 0.0, "text") == text
    wrong = corrupt("typos", text, 0.2, "text")
    assert wrong != text and abs(len(wrong) - len(text)) < 40
    assert corrupt("typos", "", 1.0, "text") == ""


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"name": "mising", "modality": "text", "amount": 0.5},
            r"corruptions\[0\].name=mising: .* did you mean 'missing'",
        ),
        ({"name": "missing", "modality": "text", "amount": 1.5}, r"amount=1.5 must be from 0 to 1"),
        (
            {"name": "missing", "modality": "text", "amount": [0.5, 0.1]},
            r"amount=\[0.5, 0.1\] must be from 0 to 1, or two",
        ),
        (
            {"name": "missing", "modality": "txt", "amount": 0.5},
            r"modality=txt must be one of image, text",
        ),
        (
            {"name": "typos", "modality": "image", "amount": 0.5},
            r"modality=image must be one of text",
        ),
        (
            {"name": "missing", "modality": "text", "amount": 0.5, "side": "left"},
            r"side=left must be one of support",
        ),
        ({"name": "missing", "modality": "text"}, r"corruptions\[0\].amount is missing"),
        ("missing", r"corruptions=missing: write a list such as"),
    ],
)
def test_mistakes_are_named(section, message):
    with pytest.raises(UserError, match=message):
        built(section)


def test_raw_values_that_are_corrupted_are_embedded_in_each_episode(samples):
    learner = make_learner().eval()
    setting = EvalSetting("few_shot", tasks.build("classification", {}, "task"), SHAPE, (BOTH,))
    section = {"name": "noise", "modality": "image", "amount": 0.0}

    def predictions(known, *sections):
        sampler = Sampler(known, 0, "test", corruptions=built(*sections))
        with torch.no_grad():
            return torch.cat(
                [played.predictions for played in predict(learner, known, sampler, setting, 5)]
            )

    assert torch.allclose(predictions(samples, section), predictions(samples), atol=1e-5)
    noisy = predictions(samples, section | {"amount": 1.0})
    assert not torch.allclose(noisy, predictions(samples), atol=1e-3)
    gone = predictions(
        samples, {"name": "missing", "modality": "image", "amount": 1.0, "side": "query"}
    )
    # Nothing is known of the queries.
    assert torch.allclose(gone.exp(), torch.full_like(gone, 0.25), atol=1e-6)


@pytest.mark.parametrize("classifier", ["prototype", "nearest", "attention"])
def test_every_rule_sees_that_a_modality_repeats_another(samples, classifier):
    embedded = samples.with_embeddings({"image": torch.randn(39, 3), "text": torch.randn(9, 3)})
    section = {
        "name": "redundant",
        "modality": "text",
        "of": "image",
        "amount": 1.0,
        "side": "support",
    }
    learner = make_learner(classifier=classifier)
    before, after = (
        learner.adapt(s)(q) for s, q in (drawn(embedded, *c).view(BOTH) for c in ((), (section,)))
    )
    assert (before - after).abs().max() > 0.1
