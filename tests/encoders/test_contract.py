"""What holds for every encoder of every modality."""

import io

import numpy as np
import pytest
import torch

from mmml.encoders import encoders
from mmml.similarity import distances
from tests.encoders.material import (
    LEARNED,
    RAGGED,
    RAW,
    UNIFORM,
    WIDTH,
    build,
    fresh,
    modality_of,
    objects,
)

BOTH = [*LEARNED, *RAW]
WITH_TENSORS = [n for n in BOTH if modality_of(n) in UNIFORM]


@pytest.mark.parametrize("name", LEARNED)
def test_shape(name):
    raw = RAGGED[modality_of(name)]
    assert build(name).encode(raw).shape == (len(raw), WIDTH)


@pytest.mark.parametrize("name", BOTH)
def test_neighbours_and_their_lengths_do_not_matter_in_evaluation_mode(name):
    encoder, raw = build(name), RAGGED[modality_of(name)]
    encoder.encode(raw)  # moves running statistics
    encoder.eval()
    alone = torch.cat([encoder.encode(raw[i : i + 1]) for i in range(len(raw))])
    assert torch.allclose(encoder.encode(raw), alone, atol=1e-5, equal_nan=True)
    back = torch.from_numpy(np.arange(len(raw))[::-1].copy())
    assert torch.allclose(encoder.encode(raw[::-1]), alone[back], atol=1e-5, equal_nan=True)


@torch.no_grad()
@pytest.mark.parametrize("name", LEARNED)
def test_tokens_are_as_wide_as_the_embedding_and_one_of_each_sample_is_real(name):
    encoder, raw = build(name), RAGGED[modality_of(name)]
    encoder.encode(raw)
    tokens, real = encoder.eval().sequence(encoder.prepare(raw))
    assert tokens.shape == (len(raw), real.shape[1], WIDTH) and real.dtype == torch.bool
    assert real.any(1).all() and tokens[real].isfinite().all()


@torch.no_grad()
@pytest.mark.parametrize(
    "name", ["byte_transformer", "wordpiece", "stroke_transformer", "frame_attention"]
)
def test_the_mean_token_is_the_embedding_whatever_the_padding(name):
    encoder, raw = build(name).eval(), RAGGED[modality_of(name)]
    tokens, real = encoder.sequence(encoder.prepare(raw))
    assert tokens.shape[1] > 1
    means = torch.stack([t[r].mean(0) for t, r in zip(tokens, real, strict=True)])
    assert torch.allclose(means, encoder.encode(raw), atol=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_different_samples_differ(name):
    encoder, raw = build(name), RAGGED[modality_of(name)]
    encoder.encode(raw)
    embedded = encoder.eval().encode(raw[:4])
    assert torch.pdist(embedded).min() > 1e-6


@pytest.mark.parametrize("name", LEARNED)
def test_every_parameter_gets_a_gradient(name):
    encoder, raw = build(name), RAGGED[modality_of(name)]
    (encoder.encode(raw) * torch.randn(WIDTH)).sum().backward()
    lacking = [
        n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert not lacking


@pytest.mark.parametrize("name", WITH_TENSORS)
def test_a_tensor_and_an_object_array_of_the_same_content_are_embedded_alike(name):
    encoder, raw = build(name).eval(), UNIFORM[modality_of(name)]
    as_objects = objects([v.numpy() for v in raw])
    assert torch.allclose(
        encoder.encode(raw), encoder.encode(as_objects), atol=1e-5, equal_nan=True
    )


@pytest.mark.parametrize("name", WITH_TENSORS)
def test_read_only_values_are_taken(name):
    values = [v.numpy().copy() for v in UNIFORM[modality_of(name)]]
    for value in values:
        value.flags.writeable = False
    encoder = build(name).eval()
    writable = objects([v.copy() for v in values])
    assert torch.equal(
        encoder.encode(objects(values)).nan_to_num(7), encoder.encode(writable).nan_to_num(7)
    )


@pytest.mark.parametrize("name", BOTH)
def test_a_checkpoint_holds_all_of_it(name):
    encoder, raw = build(name), RAGGED[modality_of(name)]
    encoder.encode(raw)
    file = io.BytesIO()
    torch.save(encoder.state_dict(), file)
    file.seek(0)
    again = fresh(name)
    again.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(
        again.eval().encode(raw).nan_to_num(7), encoder.eval().encode(raw).nan_to_num(7)
    )


@pytest.mark.parametrize("name", LEARNED)
def test_forward_is_a_function_of_tensors_and_parameters(name):
    encoder = build(name).eval()
    prepared = encoder.prepare(RAGGED[encoder.modality])
    tensors = {k: v for k, v in encoder.state_dict().items() if isinstance(v, torch.Tensor)}
    assert torch.equal(torch.func.functional_call(encoder, tensors, (prepared,)), encoder(prepared))


@pytest.mark.parametrize("name", LEARNED)
def test_bfloat16_training_steps_stay_near_float32(name):
    augment = {"augment": 0.0} if "augment" in LEARNED[name] else {}
    dropout = {"dropout": 0.0} if "dropout" in LEARNED[name] else {}
    encoder = build(name, **augment, **dropout).to(memory_format=torch.channels_last)
    for module in encoder.modules():  # of torchvision's, which has no option for it
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    raw = RAGGED[encoder.modality]
    exact = encoder.encode(raw)
    with torch.autocast("cpu", torch.bfloat16):
        rough = encoder.encode(raw)
    rough.float().sum().backward()
    assert (rough.float() - exact).norm() < 0.1 * exact.norm()


def test_every_modality_has_a_raw_encoder_and_a_distance_for_it():
    for modality in RAGGED:
        raw = encoders.get(f"raw_{modality}", "name")
        assert raw.modality == modality
        embedded = build(f"raw_{modality}").encode(RAGGED[modality])
        found = distances.get(raw.distance, "distance")(embedded[None], embedded[None])[0]
        assert found.shape == (len(embedded), len(embedded)) and found.isfinite().all()
        assert found.diagonal().abs().max() < 5e-3  # an item is where it is
        assert torch.allclose(found, found.T, atol=1e-4)
