import pytest
import torch

from mmml.encoders import encoders
from mmml.errors import UserError
from mmml.similarity import distances
from mmml.similarity.dtw import FRAME
from tests.encoders.material import RAGGED

OPTIONS = {"mels": 16, "hop": 20, "seconds": 0.4, "channels": 4, "augment": 0.0}
WIDTH = 5 * FRAME  # 6,400 samples have 19 windows, a quarter of these is 5


def build(width=WIDTH, **changed):
    torch.manual_seed(0)
    return encoders.build("logmel_frames", OPTIONS | changed, "encoder.audio", width=width)


def test_a_sound_has_a_frame_of_length_1_for_every_four_hops_and_then_nothing():
    embedded = build().eval().encode(RAGGED["audio"]).view(-1, 5, FRAME)
    # 4000, 1500, 300, 8000 and 2222 samples: 13, 5, 1, 19 (of 0.4 s) and 7 windows
    present = ~embedded.isnan().any(-1)
    assert present.sum(1).tolist() == [4, 2, 1, 5, 2]
    assert torch.allclose(embedded[present].norm(dim=-1), torch.ones(14))
    assert embedded[~present].isnan().all()


def test_neighbours_do_not_matter():
    encoder, sounds = build().eval(), RAGGED["audio"]
    together = encoder.encode(sounds)
    for i in range(len(sounds)):
        assert torch.allclose(
            encoder.encode(sounds[i : i + 1])[0], together[i], atol=1e-5, equal_nan=True
        )


def test_the_alignment_is_trained_along():
    encoder, dtw = build().train(), distances.get("dtw", "method.distance")
    embedded = encoder.encode(RAGGED["audio"])
    found = dtw(embedded, embedded)
    assert torch.allclose(found.diagonal(), torch.zeros(5), atol=1e-3)
    found.sum().backward()
    gradients = [p.grad for p in encoder.parameters()]
    assert all(g.isfinite().all() for g in gradients)
    assert sum(g.abs().sum() for g in gradients) > 0


def test_the_width_is_that_of_all_frames():
    with pytest.raises(
        UserError, match=r"encoder.width=12 must be null, or 200: 5 frames of 40 numbers"
    ):
        build(width=12)
    assert build(width=None).own_width == 200
