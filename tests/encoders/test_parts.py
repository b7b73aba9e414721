"""Small parts of encoders, by numbers that can be worked out by hand."""

import pytest
import torch
from torch import nn

from mmml.encoders.augment import Augment, augments, drawn, seen_as
from mmml.encoders.conv4 import conv_blocks
from mmml.encoders.mlp import perceptron
from mmml.encoders.resnet12 import ResidualBlock
from mmml.encoders.sequences import in_buckets
from tests.encoders.material import build, fresh

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_values_of_like_length_are_embedded_together_and_come_back_in_their_places(size):
    shapes = []

    def lengths(raw):
        shapes.append([len(value) for value in raw])
        return torch.tensor([[float(len(value))] for value in raw])

    raw = ["ccc", "a", "dddd", "bb", "eeeee"]
    assert in_buckets(lengths, raw, size).flatten().tolist() == [3, 1, 4, 2, 5]
    assert [n for some in shapes for n in some] == [1, 2, 3, 4, 5] and max(map(len, shapes)) <= size


def test_random_changes_go_both_ways_and_are_one_for_all_where_they_are_a_view():
    torch.manual_seed(0)
    own = drawn(2000, (3,), None, CPU)
    assert (
        own.shape == (2000, 3) and abs(own.mean()) < 0.05 and own.min() < -0.95 and own.max() > 0.95
    )
    alike = drawn(5, (200,), torch.Generator().manual_seed(1), CPU)
    assert (alike == alike[0]).all() and alike.min() < -0.9 and alike.max() > 0.9


def test_a_view_ends_where_it_is_left_even_by_an_error():
    module = nn.Sequential(Augment(1.0)).eval()
    with pytest.raises(KeyError), seen_as(module, 2):
        assert [a.view for a in augments(module)] == [2]
        raise KeyError
    assert [a.view for a in augments(module)] == [0]


@pytest.mark.parametrize("num_pools", [1, 2, 3])
def test_the_first_blocks_halve_the_image(num_pools):
    blocks, x, sides = conv_blocks(1, [2, 2, 2], num_pools).eval(), torch.zeros(1, 1, 16, 16), []
    for block in blocks:
        x = block(x)
        sides.append(x.shape[-1])
    assert sides == [16 // 2 ** min(i, num_pools) for i in (1, 2, 3)]


def test_only_a_last_layer_that_is_to_be_linear_has_no_activation():
    assert [type(m) for m in perceptron(2, [3], 4)] == [nn.Linear, nn.ReLU, nn.Linear]
    assert [type(m) for m in perceptron(2, [3], 4, ends_linear=False)] == [nn.Linear, nn.ReLU] * 2
    normed = [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert [type(m) for m in perceptron(2, [3], 4, batch_norm=True)] == [*normed, nn.Linear]
    assert [
        type(m) for m in perceptron(2, [3], 4, batch_norm=True, ends_linear=False)
    ] == normed * 2


def test_a_residual_block_adds_what_it_is_given():
    block = ResidualBlock(1, 1).eval()
    for name, parameter in block.named_parameters():
        if name.startswith("path") and parameter.ndim == 4:
            nn.init.zeros_(parameter)
    nn.init.ones_(block.shortcut[0].weight)
    x = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    assert block(x).flatten().tolist() == pytest.approx([4], abs=1e-4)


def test_pictures_are_standardised_as_published_weights_expect():
    encoder = fresh("torchvision").eval()
    prepared = encoder.prepare(torch.full((1, 3, 32, 32), 255, dtype=torch.uint8))[0, :, 0, 0]
    wanted = [(1 - mean) / std for mean, std in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]
    assert prepared.tolist() == pytest.approx(wanted, abs=1e-5)


def test_the_vectors_of_a_text_are_summed_and_divided_by_the_root_of_their_number():
    encoder = build("ngrams", longest=2, dropout=0.0).eval()
    nn.init.ones_(encoder.vectors.weight)
    encoder.head = nn.Identity()
    # " abc " has four pairs of bytes, " a " two
    assert encoder.encode(["abc", "a"])[:, 0].tolist() == pytest.approx([2, 2**0.5])


def test_the_mean_over_time_is_that_of_a_sounds_own_frames():
    """Two of the five times that blocks leave of the longer sound."""
    encoder = build("logmel_conv", seconds=1.5).eval()
    prepared = encoder.prepare([torch.randn(9000), torch.randn(24000)])
    alone = prepared[:1, : int((~prepared[0, :, 0].isnan()).sum())]
    assert alone.shape[1] < prepared.shape[1] / 2
    assert torch.allclose(encoder(prepared)[0], encoder(alone)[0], atol=1e-5)
