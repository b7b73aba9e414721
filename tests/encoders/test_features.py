import zipfile

import numpy as np
import pytest
import torch

from mmml.errors import UserError
from tests.encoders.material import RAGGED, UNIFORM, build, fresh, objects


def test_means_and_deviations_are_those_of_the_training_split():
    rows = np.concatenate(list(RAGGED["features"]))
    first = build("feature_transformer").first
    assert torch.allclose(first.mean, torch.from_numpy(rows.mean(0)), rtol=1e-4)
    assert torch.allclose(first.deviation, torch.from_numpy(rows.std(0)), rtol=1e-3)


def test_many_chunks_are_as_one(monkeypatch):
    full = build("feature_transformer").first
    monkeypatch.setattr("mmml.encoders.base.CHUNK", 2)
    assert torch.allclose(build("feature_transformer").first.mean, full.mean, rtol=1e-6)


def test_outliers_are_clipped_and_constants_survive():
    values = torch.randn(100, 1, 3)
    values[..., 1] = 0.1
    encoder = fresh("feature_transformer")
    encoder.fit(values)
    prepared = encoder.prepare(
        torch.tensor([[[255.0, 0.1, -255.0]], [[torch.inf, 0.1, torch.nan]]])
    )
    assert prepared[:, 0].tolist() == [
        [5.0, pytest.approx(0, abs=1e-4), -5.0],
        [5.0, pytest.approx(0, abs=1e-4), 0.0],
    ]


def test_missing_steps_count_for_nothing():
    encoder, gaps = build("feature_transformer"), RAGGED["features"][0].copy()
    gaps[2] = 0
    encoder.eval()
    encoded = encoder.encode([gaps])
    changed = encoder.first.mean.clone()
    encoder.fit(objects([*RAGGED["features"], np.zeros((9, 3), np.float32)]))
    assert torch.allclose(encoder.first.mean, changed)
    assert encoder.prepare([gaps])[0, 2].isnan().all()
    assert encoded.isfinite().all()


def test_a_sample_that_is_missing_throughout_is_finite():
    absent = objects([np.zeros((4, 3), np.float32), RAGGED["features"][0]])
    encoder = build("feature_transformer").eval()
    assert encoder.encode(absent).isfinite().all()
    assert encoder.encode(torch.zeros(2, 3)).isfinite().all()


def test_vectors_skip_the_transformer():
    vectors = torch.randn(6, 4)
    encoder = fresh("feature_transformer")
    encoder.fit(vectors)
    encoder.encode(vectors).pow(2).sum().backward()
    lacking = {n.split(".")[0] for n, p in encoder.named_parameters() if p.grad is None}
    assert lacking == {"positions", "transformer"}
    as_objects = encoder.eval().encode(objects(list(vectors.numpy())))
    assert torch.allclose(as_objects, encoder.encode(vectors))
    assert torch.allclose(encoder.encode(vectors[:1]), encoder.encode(vectors)[:1], atol=1e-5)


def test_only_so_many_steps_are_read():
    encoder = build("feature_transformer").eval()  # 5 steps
    long = RAGGED["features"][2]
    assert torch.allclose(encoder.encode([long]), encoder.encode([long[:5]]), atol=1e-6)


def test_an_optimizer_made_before_fit_trains_what_fit_made():
    encoder = fresh("feature_transformer").to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(encoder.parameters(), 0.1)
    encoder.fit(UNIFORM["features"])
    before = encoder.first.weight.detach().clone()
    encoder.encode(UNIFORM["features"]).sum().backward()
    optimizer.step()
    assert before.shape == (8, 3) and not torch.equal(before, encoder.first.weight)


def test_before_fit_and_with_other_features_it_says_what_is_wrong():
    with pytest.raises(UserError, match="samples have 3 features; no training data was seen yet"):
        fresh("feature_transformer").encode(UNIFORM["features"])
    with pytest.raises(UserError, match="samples have 2 features; 3 features were fitted"):
        build("feature_transformer").encode(torch.zeros(1, 2))


def test_real_features_with_half_of_them_missing(real_data):
    with zipfile.ZipFile(real_data / "pom_traits" / "pom.zip") as archive:
        content = archive.read("pom/video_train.h5")  # one array behind a header of 2,048 bytes
    values = torch.from_numpy(np.frombuffer(content, offset=2048).astype(np.float32)).view(
        600, 20, 41
    )
    absent = (values == 0).all(-1).all(-1)
    assert absent.float().mean() > 0.5
    encoder = fresh("feature_transformer", steps=20)
    encoder.fit(values)
    prepared, embedded = encoder.eval().prepare(values), encoder.encode(values)
    assert prepared.nan_to_num(0).abs().max() <= 5
    assert embedded.isfinite().all() and (embedded[absent] == embedded[absent][0]).all()
    assert embedded[~absent].std(0).min() > 0
