from pathlib import Path

import numpy as np
import pytest
import torch

from mmml.encoders import encoders
from mmml.encoders.images import as_input, content
from mmml.encoders.raw import RawImage
from mmml.errors import UserError
from tests.encoders.material import RAGGED, UNIFORM, WIDTH, fresh, objects

CPU = torch.device("cpu")


def test_grey_images_are_repeated_and_colours_become_luma():
    grey = torch.full((1, 4, 4), 51, dtype=torch.uint8)
    assert torch.equal(as_input(grey, 4, CPU, colour=True), torch.full((1, 3, 4, 4), 0.2))
    red = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    red[:, 0] = 255
    assert torch.allclose(as_input(red, 4, CPU, colour=False), torch.full((1, 1, 4, 4), 0.299))
    assert torch.equal(as_input(red, 4, CPU, colour=True), red / 255)


def test_sizes_are_squeezed_each_in_its_place():
    values = [
        np.full((c, h, w), v, np.uint8)
        for c, h, w, v in ((3, 9, 5, 0), (1, 30, 30, 51), (3, 9, 5, 102))
    ]
    x = as_input(objects(values), 8, CPU, colour=True)
    assert x.shape == (3, 3, 8, 8)
    assert torch.allclose(x.mean((1, 2, 3)), torch.tensor([0.0, 0.2, 0.4]))


def square(
    height: int, width: int, top: int, left: int, side: int, ground: int = 0
) -> torch.Tensor:
    image = torch.full((1, 1, height, width), ground, dtype=torch.uint8)
    image[..., top : top + side, left : left + side] = 255 - ground
    return image


def test_content_is_what_differs_from_the_edge():
    assert content(square(40, 30, 5, 12, 10) / 255).tolist() == [[12, 5, 22, 15]]
    assert content(square(40, 30, 5, 12, 10, ground=255) / 255).tolist() == [[12, 5, 22, 15]]
    assert content(torch.full((1, 3, 40, 30), 0.4)).tolist() == [[0, 0, 30, 40]]


def test_neither_place_nor_size_of_content_counts_once_it_is_cut():
    encoded = [
        as_input(square(*s), 16, CPU, False, crop=True)
        for s in ((64, 64, 4, 9, 40), (64, 32, 39, 11, 20))
    ]
    assert torch.allclose(*encoded, atol=0.1)  # their edges are blurred differently
    assert encoded[0][0, 0, 8, 8] == 1 and encoded[0][0, 0, 0, 0] < 0.01  # all of it, with a margin
    dot = as_input(square(64, 64, 4, 9, 4), 16, CPU, False, crop=True)
    assert dot.mean() < 0.1  # a dot does not become a disc


def test_a_cut_keeps_the_colour_of_the_ground():
    image = as_input(square(40, 40, 0, 15, 10, ground=255), 16, CPU, colour=True, crop=True)
    assert torch.equal(image[0, :, -1, 0], torch.ones(3))


def test_other_numbers_of_channels_are_refused():
    with pytest.raises(ValueError, match="1 or 3 channels, not 4"):
        as_input(torch.zeros(1, 4, 8, 8, dtype=torch.uint8), 8, CPU, colour=True)


def test_colour_tells_colours_apart_and_grey_does_not():
    one, other = torch.zeros(2, 1, 3, 16, 16, dtype=torch.uint8)
    one[:, 0], other[:, 1] = 100, round(100 * 0.299 / 0.587)  # the same luma, but for rounding
    for colour in (True, False):
        encoder = fresh("conv4", colour=colour).eval()
        assert torch.allclose(encoder.encode(one), encoder.encode(other), atol=1e-3) != colour


def test_a_local_embedding_moves_along_with_the_image():
    encoder = fresh("conv4_local", None, size=64).eval()
    image = torch.zeros(1, 64, 64, dtype=torch.uint8)
    image[:, 27:37, 27:30] = 255
    patches, moved = (encoder.encode(x).view(4, 4, 64) for x in (image, image.roll(16, 2)))
    assert torch.allclose(patches[1:3, 0], moved[1:3, 1], atol=1e-5)
    assert not torch.allclose(patches[1:3, 1], moved[1:3, 1], atol=1e-3)


def test_places_of_several_views_stand_side_by_side_and_whole_embeddings_are_averaged():
    views = torch.arange(2 * 3 * 64.0).view(2, 3, 64)
    assert torch.equal(fresh("conv4_local").together(views), torch.cat([views[0], views[1]], dim=1))
    assert torch.equal(fresh("conv4").together(views), views.mean(0))


def test_a_local_embedding_has_one_width():
    with pytest.raises(UserError, match=r"width=12 must be null, or 64: 1 places of 64 numbers"):
        fresh("conv4_local", width=12)


def test_resnet12_has_the_published_size():
    options = {"size": 84, "channels": [64, 160, 320, 640], "colour": True, "augment": 0.0}
    encoder = encoders.build("resnet12", options, "encoder.image", width=5)
    convolutions = sum(p.numel() for p in encoder.blocks.parameters() if p.ndim == 4)
    assert convolutions == sum(
        9 * (i * o + 2 * o * o) + i * o for i, o in ((3, 64), (64, 160), (160, 320), (320, 640))
    )
    assert encoder.blocks(torch.zeros(1, 3, 84, 84)).shape == (1, 640, 5, 5)


@pytest.mark.parametrize("channels", [[8, 8, 8], [8, 8, 8, 0], []])
def test_resnet12_wants_four_widths(channels):
    with pytest.raises(
        UserError, match=r"encoder.image.channels=.* must be four positive whole numbers"
    ):
        fresh("resnet12", channels=channels)


class Opening:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return self.path.touch, ()


class TestTorchvision:
    @pytest.mark.parametrize("model", ["resnet18", "mobilenet_v3_small", "googlenet"])
    def test_any_model_takes_the_width(self, model):
        encoder = fresh("torchvision", model=model)
        assert encoder.encode(RAGGED["image"]).shape == (5, WIDTH)

    def test_an_unknown_model_has_a_nearest(self):
        with pytest.raises(
            UserError, match=r"encoder.image.model=resnet19: .* did you mean 'resnet1"
        ):
            fresh("torchvision", model="resnet19")

    def test_segmentation_is_no_classification(self):
        with pytest.raises(UserError, match="no such classifier"):
            fresh("torchvision", model="fcn_resnet50")

    def test_a_size_that_the_model_does_not_take_is_refused(self):
        with pytest.raises(
            UserError, match=r"encoder.image.size=8: squeezenet1_1 takes no such images"
        ):
            fresh("torchvision", size=8)

    def test_weights_are_taken_over_but_for_the_last_layer(self, tmp_path):
        from torchvision.models import squeezenet1_1

        published = squeezenet1_1(weights=None)
        torch.save(published.state_dict(), tmp_path / "weights.pth")
        encoder = fresh("torchvision", weights=str(tmp_path / "weights.pth"))
        encoder.fit(RAGGED["image"])
        assert torch.equal(encoder.model.features[0].weight, published.features[0].weight)
        assert encoder.encode(UNIFORM["image"]).shape == (5, WIDTH)

    def test_missing_weights_are_refused_before_training(self, tmp_path):
        with pytest.raises(
            UserError, match=r"encoder.image.weights=.*none.pth: there is no such file"
        ):
            fresh("torchvision", weights=str(tmp_path / "none.pth")).fit(RAGGED["image"])

    def test_weights_of_another_model_are_refused(self, tmp_path):
        torch.save({"features.0.weight": torch.zeros(2)}, tmp_path / "weights.pth")
        with pytest.raises(
            UserError, match=r"does not fit the model: \d+ layers would lack weights"
        ):
            fresh("torchvision", weights=str(tmp_path / "weights.pth")).fit(RAGGED["image"])

    @pytest.mark.parametrize("content", [b"", b"no weights", b"\x80\x04."])
    def test_what_is_no_state_dict_is_refused(self, tmp_path, content):
        (tmp_path / "weights.pth").write_bytes(content)
        with pytest.raises(UserError, match="cannot be read as a state dict"):
            fresh("torchvision", weights=str(tmp_path / "weights.pth")).fit(RAGGED["image"])

    @pytest.mark.parametrize("full", [True, False])
    def test_code_in_a_file_of_weights_is_never_run(self, tmp_path, full):
        """Neither where the file is such code alone, nor where it stands beside
        weights that would fit.
        """
        state = fresh("torchvision").model.state_dict() if full else {}
        torch.save({**state, "more": Opening(tmp_path / "ran")}, tmp_path / "weights.pth")
        encoder = fresh("torchvision", weights=str(tmp_path / "weights.pth"))
        with pytest.raises(UserError, match="cannot be read as a state dict"):
            encoder.fit(RAGGED["image"])
        assert not (tmp_path / "ran").exists()

    def test_a_finished_run_needs_no_file(self, tmp_path):
        assert fresh("torchvision", weights=str(tmp_path / "gone.pth")).encode(
            UNIFORM["image"]
        ).shape == (5, WIDTH)

    def test_a_tensor_is_no_state_dict(self, tmp_path):
        torch.save(torch.zeros(3), tmp_path / "weights.pth")
        with pytest.raises(UserError, match="cannot be read as a state dict"):
            fresh("torchvision", weights=str(tmp_path / "weights.pth")).fit(RAGGED["image"])


def test_raw_pictures_are_small_and_neither_background_nor_brightness_counts():
    assert RawImage().encode(RAGGED["image"]).shape == (5, 3 * 32 * 32)
    picture = torch.randint(0, 100, (1, 3, 32, 32), dtype=torch.uint8)
    same, other = (
        RawImage().encode(torch.cat([picture, picture + 50, picture.flip(1)])).split([2, 1])
    )
    assert torch.allclose(same[0], same[1], atol=1e-5) and not torch.allclose(
        same[0], other[0], atol=0.1
    )
    grey = RawImage().encode(picture[:, :1]).view(3, -1)
    assert torch.equal(grey[0], grey[2])
