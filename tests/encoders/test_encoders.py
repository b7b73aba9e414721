import numpy as np
import pytest
import torch

from mmml.data.column import Column
from mmml.encoders import build_embedder, encoders
from mmml.encoders.base import evaluating
from mmml.episodes import ExampleSet
from mmml.errors import UserError
from mmml.text import PAD, to_bytes
from tests.conftest import MLP, SMALL

TEXTS = np.array(["a", "GREEK SMALL", "", "Ωmega, one that is longer than all"], dtype=object)
IMAGES = torch.randint(0, 256, (6, 16, 16), generator=torch.Generator().manual_seed(1)).to(
    torch.uint8
)
RAW = {"image": IMAGES, "text": TEXTS}


def test_after_evaluation_every_part_is_in_the_mode_that_it_was_in():
    learner = torch.nn.Sequential(torch.nn.Dropout())
    with evaluating(learner):
        # It wraps what is evaluated, and was never in evaluation mode itself.
        control = torch.nn.Sequential(learner)
        with evaluating(control):
            assert not any(part.training for part in control.modules())
        assert control.training and not any(part.training for part in learner.modules())
    assert all(part.training for part in learner.modules())


@pytest.mark.parametrize("options", [SMALL, MLP], ids=["small", "mlp"])
@pytest.mark.parametrize("modality", ["image", "text"])
class TestEveryEncoder:
    def test_shape(self, options, modality):
        embedder = build_embedder(options, [modality])
        assert embedder.encode(modality, Column(RAW[modality])).shape == (len(RAW[modality]), 16)

    def test_neighbours_do_not_matter_in_evaluation_mode(self, options, modality):
        embedder = build_embedder(options, [modality])
        embedder.encode(modality, Column(RAW[modality]))  # moves running statistics
        embedder.eval()
        together = embedder.encode(modality, Column(RAW[modality]))
        alone = torch.cat(
            [
                embedder.encode(modality, Column(RAW[modality][i : i + 1]))
                for i in range(len(RAW[modality]))
            ]
        )
        assert torch.allclose(together, alone, atol=1e-5)

    def test_evaluation_moves_nothing(self, options, modality):
        embedder = build_embedder(options, [modality]).eval()
        before = {k: v.clone() for k, v in embedder.state_dict().items()}
        assert torch.equal(
            embedder.encode(modality, Column(RAW[modality])),
            embedder.encode(modality, Column(RAW[modality])),
        )
        assert all(torch.equal(v, before[k]) for k, v in embedder.state_dict().items())

    def test_every_parameter_gets_a_gradient(self, options, modality):
        torch.manual_seed(0)
        embedder = build_embedder(options, [modality])
        (embedder.encode(modality, Column(RAW[modality])) * torch.randn(16)).sum().backward()
        lacking = [
            n
            for n, p in embedder.named_parameters()
            if p.grad is None or not p.grad.abs().sum() > 0
        ]
        assert not lacking

    def test_normalised_embeddings_have_length_one(self, options, modality):
        embedder = build_embedder(options, [modality]).eval()
        assert torch.allclose(
            embedder.encode(modality, Column(RAW[modality])).norm(dim=-1), torch.ones(1)
        )


def test_images_of_another_size_are_resized():
    encoder = encoders.build(
        "conv4", {"size": 32, "channels": 4, "augment": 0.0}, "encoder.image", width=8
    )
    assert encoder.encode(IMAGES).shape == (6, 8)


def test_augmentation_is_for_training_only():
    encoder = encoders.build(
        "conv4", {"size": 16, "channels": 4, "augment": 1.0}, "encoder.image", width=8
    )
    assert not torch.equal(encoder.augment(IMAGES[:, None].float()), IMAGES[:, None].float())
    encoder.eval()
    assert torch.equal(encoder.augment(IMAGES[:, None].float()), IMAGES[:, None].float())


def test_conv4_may_keep_more_places_and_have_blocks_of_different_widths():
    options = {"size": 28, "channels": [4, 8, 8, 16], "augment": 0.0}
    sizes = {}
    for num_pools in (4, 3):
        encoder = encoders.build(
            "conv4", {**options, "num_pools": num_pools}, "encoder.image", width=8
        )
        assert encoder.encode(IMAGES).shape == (6, 8)
        sizes[num_pools] = encoder.head.in_features
    assert sizes == {4: 16, 3: 16 * 9}
    five = encoders.build(
        "conv4", {**options, "size": 64, "channels": [4, 4, 8, 8, 16]}, "encoder.image", width=8
    )
    assert (
        five.encode(IMAGES).shape == (6, 8)
        and len(five.blocks) == 5
        and five.head.in_features == 16 * 16
    )
    for wrong, message in (
        ({"channels": [4, 0]}, r"channels=\[4, 0\] must be a positive whole number, or a list"),
        ({"num_pools": 5}, "num_pools=5 must be from 1 to 4, the number of blocks"),
        ({"channels": [4] * 5, "num_pools": 5}, "size=28 must be 32 or more"),
        ({"elastic": 0.9}, "elastic=0.9 must be from 0 to 0.5"),
    ):
        with pytest.raises(UserError, match=message):
            encoders.build("conv4", {**options, **wrong}, "encoder.image", width=8)


def test_raw_ink_is_where_pixels_are_dark_from_their_centre():
    paper = torch.zeros(2, 8, 8, dtype=torch.uint8)
    paper[0, 2, 3], paper[0, 4, 7], paper[1, 1, 1] = 255, 40, 9
    found = encoders.build("raw_ink", {}, "encoder.image", width=0).encode(paper).view(2, -1, 2)
    assert found[0, :2].tolist() == [[-1, -2], [1, 2]] and found[1, 0].tolist() == [0, 0]
    assert found[0, 2:].isnan().all() and found[1, 1:].isnan().all()
    full = encoders.build("raw_ink", {}, "encoder.image", width=0).encode(
        torch.ones(1, 60, 60, dtype=torch.uint8)
    )
    assert full.shape == (1, 5120) and not full.isnan().any()


def test_raw_images_are_the_pixels():
    assert torch.equal(
        encoders.build("raw_image", {}, "encoder.image", width=0).encode(IMAGES),
        IMAGES.flatten(1) / 255,
    )


def test_texts_are_embedded_alike_whatever_their_bucket(monkeypatch):
    embedder = build_embedder(SMALL, ["text"]).eval()
    full = embedder.encode("text", Column(TEXTS))
    monkeypatch.setattr("mmml.encoders.byte_transformer.BUCKET", 2)
    assert torch.allclose(embedder.encode("text", Column(TEXTS)), full, atol=1e-6)


def test_forward_is_a_function_of_tensors_and_parameters():
    for modality, options in (("image", SMALL), ("text", SMALL), ("image", MLP), ("text", MLP)):
        encoder = build_embedder(options, [modality]).encoders[modality].eval()
        prepared = encoder.prepare(RAW[modality])
        again = torch.func.functional_call(encoder, dict(encoder.state_dict()), (prepared,))
        assert torch.equal(again, encoder(prepared))


def test_bytes_are_cut_and_padded():
    tokens = to_bytes(["ab", "", "é"], max_length=1)
    assert tokens.tolist() == [[97], [32], [0xC3]]
    assert to_bytes(["a"], max_length=8, length=3).tolist() == [[97, PAD, PAD]]


def test_fusion_is_the_mean_with_one_text_for_all_shots():
    embedder = build_embedder(MLP, ["image", "text"])
    image, text = torch.ones(1, 2, 3, 4), torch.zeros(1, 2, 1, 4)
    columns = {"image": Column(image, encoded=True), "text": Column(text, encoded=True)}
    examples = ExampleSet(columns, {"image": (1, 2, 3), "text": (1, 2, 1)})
    assert torch.equal(embedder.fuse(examples), torch.full((1, 6, 4), 0.5))


def test_a_modality_without_an_encoder_is_named():
    with pytest.raises(UserError, match="encoder.audio is missing: a mapping uses audio"):
        build_embedder(SMALL, ["audio"])


def test_an_encoder_of_another_modality_is_refused():
    with pytest.raises(
        UserError, match=r"encoder.image.name=mlp_text is an encoder of text, not of image"
    ):
        build_embedder(MLP | {"image": MLP["text"]}, ["image"])
