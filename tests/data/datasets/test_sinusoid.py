import numpy as np
import pytest

from mmml.data.base import datasets
from mmml.errors import UserError
from tests.conftest import scores_of

SINUSOID = {"name": "sinusoid", "waves": 10, "points": 8, "split_seed": 0}


def load(**options):
    return datasets.build_section(SINUSOID | options, "dataset").load()


def test_a_class_is_a_wave_and_a_score_a_point_of_it():
    parts = load(points=200)
    assert {s: len(p.classes) for s, p in parts.items()} == {"train": 10, "val": 2, "test": 2}
    x = parts["train"].columns["features"].values[:200, 0].numpy()
    y = scores_of(parts["train"])[:200]
    title = parts["train"].classes[0]
    amplitude, phase = (float(title.partition(": ")[2].split(" ")[i].strip(")")) for i in (0, 3))
    assert np.allclose(y, amplitude * np.sin(x - phase), atol=1e-3)
    assert x.min() > -5 and x.max() < 5 and np.ptp(x) > 9


def test_waves_are_the_same_every_time_and_others_in_each_split():
    one, again, other = load(), load(), load(split_seed=1)
    assert (scores_of(one["test"]) == scores_of(again["test"])).all()
    assert not (scores_of(one["test"]) == scores_of(other["test"])).any()
    assert not set(one["train"].classes) & {c.replace("test", "train") for c in one["test"].classes}
    with pytest.raises(UserError, match="dataset.waves=4 must be 5 or more"):
        load(waves=4)


def test_no_wave_and_no_point_is_in_two_splits():
    """Those of validation and test are as many, so that the same random numbers would
    make the same waves.
    """
    parts = load(waves=50)
    waves = {s: {c.partition(": ")[2] for c in p.classes} for s, p in parts.items()}
    amplitudes = {s: {c.partition(" ")[0] for c in several} for s, several in waves.items()}
    points = {s: set(p.columns["features"].values.flatten().tolist()) for s, p in parts.items()}
    scores = {s: set(scores_of(p).tolist()) for s, p in parts.items()}
    for of in (waves, amplitudes, points, scores):
        assert (
            not of["train"] & of["val"]
            and not of["train"] & of["test"]
            and not of["val"] & of["test"]
        )
