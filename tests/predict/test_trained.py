"""What a checkpoint brings to new classes: its learner, its calibration, and which of its
confidence still holds.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch

import mmml
from mmml.cli.mmml_predict import predict
from mmml.config import check_config
from mmml.config.compose import compose_plain
from mmml.evaluation.calibration import Calibration, Entry
from mmml.predict.inputs import Reading
from mmml.predict.model import trained_model, untrained_model
from mmml.training.checkpoint import Checkpoint
from tests.data.making import draw, pictures, write_csv
from tests.predict.making import features

IMAGES = [f"episode.{side}.mappings=[image:image]" for side in ("train", "eval")]
CONV = [
    "encoder=small",
    "encoder.width=8",
    "encoder.image.size=16",
    "encoder.image.channels=4",
    *IMAGES,
]
MAML = [
    "method=learned_optimizer",
    "method/algorithm=maml",
    "method.inner_steps=1",
    "method.update_rule.inner_lr=0.5",
]
ROWS = ["encoder=raw", *(o.replace("image", "features") for o in IMAGES)]
QUANTILES = np.linspace(0, 1, 5).tolist()


def entry(mapping="image:image", ways=5, shots=1, temperature=7.0, met=4):
    return Entry(mapping, ways, shots, temperature, QUANTILES, [1 + q for q in QUANTILES], met)


def stored_of(*overrides, entries=()):
    """A checkpoint of a learner as it is before training, with a calibration."""
    plain = compose_plain(overrides)
    torch.manual_seed(0)
    learner = untrained_model(check_config(plain), Reading()).learner
    known = Calibration(tuple(entries)).plain()
    return Checkpoint(plain, [], learner.state_dict(), {}, 0, None, 0.0, known)


def model_of(stored, reading=None, **method):
    """What is made of a checkpoint, perhaps with another method."""
    changed = stored.config | {"method": stored.config["method"] | method}
    return trained_model(stored, check_config(changed), reading or Reading())


@pytest.mark.parametrize("transductive", [False, True])
def test_a_query_is_predicted_apart_from_all_others_whatever_the_run_did(tmp_path, transductive):
    support = pictures(tmp_path / "s", classes=2, each=2)
    write_csv(tmp_path / "s" / "metadata.csv", support)
    for i in range(4):
        draw(tmp_path / "q" / f"{i}.png", 50 + i)
    draw(tmp_path / "alone" / "0.png", 50)
    model = model_of(stored_of(*CONV, *MAML, f"method.transductive={str(transductive).lower()}"))
    assert not model.learner.transductive
    adapted = model.adapt(str(tmp_path / "s"))
    together, (alone,) = (list(adapted.predict(str(tmp_path / name))) for name in ("q", "alone"))
    assert together[0].probability == pytest.approx(alone.probability, abs=1e-5)


@pytest.mark.parametrize(("transductive", "judged"), [("false", True), ("true", False)])
def test_what_validation_told_of_queries_at_once_is_not_believed_of_queries_apart(
    tmp_path, transductive, judged
):
    write_csv(tmp_path / "s" / "metadata.csv", pictures(tmp_path / "s", classes=2, each=2))
    model = model_of(
        stored_of(*CONV, *MAML, f"method.transductive={transductive}", entries=[entry()])
    )
    found = model.adapt(str(tmp_path / "s")).entry
    assert (found.temperature == 7) == judged == model.as_judged
    assert found.unknown == entry().unknown  # novelty knows no method


def test_another_method_keeps_the_novelties_and_what_they_met(tmp_path):
    support = features(tmp_path / "s", [0, 1, 2] * 4, seed=0)
    stored = stored_of(*ROWS, entries=[entry("features:features", 3, 4, met=11)])
    reading = Reading(features="f.npy")
    changes = ({}, {"classifier": {"name": "nearest"}})
    same, other = (
        model_of(stored, reading, **change).adapt(str(support)).entry for change in changes
    )
    assert (same.temperature, same.met) == (7, 11) and other.temperature != 7
    assert (other.known, other.unknown, other.met) == (same.known, same.unknown, 11)


def test_the_calibration_is_that_of_the_shots_of_each_class(tmp_path):
    """Twelve samples of three classes are four shots."""
    support = features(tmp_path / "s", [0, 1, 2] * 4, seed=0)
    entries = [entry("features:features", 3, shots, temperature=shots) for shots in (2, 12)]
    stored = stored_of(*ROWS, entries=[*entries, entry(temperature=50.0)])
    assert model_of(stored, Reading(features="f.npy")).adapt(str(support)).entry.temperature == 2


@pytest.mark.parametrize(("temperature", "expected"), [(2.0, [2 / 3, 1 / 3]), (1.0, [0.8, 0.2])])
def test_a_probability_is_calibrated_once(temperature, expected):
    adapted = object.__new__(mmml.predict.Adapted)  # which needs nothing else for it
    adapted.entry = entry(temperature=temperature)
    assert adapted._probabilities(torch.tensor([[0.8, 0.2]]).log())[0].tolist() == pytest.approx(
        expected
    )


def test_the_probability_that_is_told_is_the_calibrated_one(tmp_path):
    """Of two classes, p at temperature 2 is √p / (√p + √(1 − p))."""
    support = features(tmp_path / "s", [0, 1] * 4, seed=0)
    query = features(tmp_path / "q", [0, 1, 1], seed=1)
    found = []
    for temperature in (1.0, 2.0):
        stored = stored_of(*ROWS, entries=[entry("features:features", 2, 4, temperature)])
        adapted = model_of(stored, Reading(features="f.npy")).adapt(str(support))
        found.append(np.array([p.probability for p in adapted.predict(str(query))]))
    plain, cool = found
    assert (
        np.allclose(cool, plain**0.5 / (plain**0.5 + (1 - plain) ** 0.5), atol=1e-6)
        and (cool < plain).all()
    )


def test_a_run_predicts_with_its_best_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    features(tmp_path / "s", [0, 1, 2] * 4, seed=0)
    features(tmp_path / "q", [0, 1], seed=1)
    for name, temperature in (("last", 9.0), ("best", 2.0)):
        stored = stored_of(*ROWS, entries=[entry("features:features", 3, 4, temperature)])
        stored.save(tmp_path / "run" / "checkpoints" / f"{name}.ckpt")
    model = mmml.load("run")
    model.reading = Reading(features="f.npy")
    adapted = model.adapt("s")
    assert adapted.entry.temperature == 2
    assert predict(["checkpoint=run", "support=s", "query=q", "predict.features=f.npy"]) == 0
    rows = [
        line.split(",")[2] for line in (tmp_path / "predictions.csv").read_text().splitlines()[1:]
    ]
    assert rows == [f"{p.probability:.4f}" for p in adapted.predict("q")]


def test_only_what_is_farther_than_the_threshold_from_every_class_is_rejected(tmp_path):
    """Distances to the nearest class mean of 0, 0.2 and 1; half of the unknown
    ones lay beyond 0.5.
    """
    for name, rows in (("s", [[1, 0, 0], [0, 1, 0]]), ("q", [[1, 0, 0], [0.8, 0, 0.6], [0, 0, 1]])):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "f.npy", np.array(rows, np.float32))
        write_csv(
            tmp_path / name / "metadata.csv",
            [{"id": f"{name}{i}", "label": f"c{i}"} for i in range(len(rows))],
        )
    known = replace(entry("features:features", 2, 1, met=2), unknown=[0.0, 0.5, 1.0])
    model = model_of(stored_of(*ROWS, entries=[known]), Reading(features="f.npy"))
    found = model.adapt(str(tmp_path / "s")).predict(str(tmp_path / "q"), reject=0.5)
    assert [p.label for p in found] == ["c0", "c0", None]
