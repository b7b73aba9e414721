import torch

from mmml.encoders.frame_attention import evenly
from tests.encoders.material import RAGGED, UNIFORM, build


def test_frames_are_evenly_spaced_with_both_ends():
    assert evenly(torch.arange(9), 3).tolist() == [0, 4, 8]
    assert evenly(torch.arange(2), 3).tolist() == [0, 1]
    assert evenly(torch.arange(9).numpy(), 1).tolist() == [0]


def test_differences_show_what_changed():
    prepared = build("frame_attention", augment=0.0).prepare(UNIFORM["video"])
    assert prepared.shape == (4, 3, 6, 16, 16)
    assert torch.equal(prepared[:, 0, 3:], torch.zeros(4, 3, 16, 16))
    assert torch.allclose(prepared[:, 2, 3:], prepared[:, 2, :3] - prepared[:, 1, :3])


def test_augmentation_leaves_padding_and_warps_all_frames_alike():
    encoder = build("frame_attention", differences=False, augment=1.0)
    warped = encoder.prepare(RAGGED["video"])
    assert torch.equal(
        warped[:, :, 0, 0, 0].isnan(),
        encoder.eval().prepare(RAGGED["video"])[:, :, 0, 0, 0].isnan(),
    )
    still = torch.full((1, 3, 3, 16, 16), 200, dtype=torch.uint8)
    moved = encoder.train().prepare(still)[0]
    assert torch.equal(moved[0], moved[1])


def test_the_order_of_frames_matters():
    encoder = build("frame_attention", differences=False).eval()
    assert not torch.allclose(
        encoder.encode(UNIFORM["video"]), encoder.encode(UNIFORM["video"].flip(1)), atol=1e-5
    )


def test_padding_leaves_training_statistics_alone():
    short = RAGGED["video"][:1]
    alone, among = build("frame_attention", augment=0.0), build("frame_attention", augment=0.0)
    alone.encode(short)
    prepared = among.prepare(short)
    among(torch.cat([prepared, torch.full_like(prepared[:, :1], torch.nan)], dim=1))
    assert torch.allclose(alone.trunk[0][1].running_var, among.trunk[0][1].running_var)
