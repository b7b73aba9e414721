from typing import ClassVar

import numpy as np
import pytest
import torch

from mmml.config import check_config
from mmml.config.compose import compose_plain
from mmml.data.base import Granularity, Samples
from mmml.data.column import Column
from mmml.data.values import objects
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather
from mmml.episodes.setup import check_mappings, training_batches
from mmml.episodes.task_augmentation import COLOURS, COUNT, draw_variants, vary
from mmml.errors import UserError

IMAGES = torch.arange(2 * 3 * 2 * 2, dtype=torch.uint8).view(2, 3, 2, 2)


def test_a_variant_exchanges_colours_or_mirrors():
    assert COLOURS[0] == (0, 1, 2) and COUNT == 12
    same, swapped, mirrored = (vary(IMAGES, np.full(2, v)) for v in (0, 1, len(COLOURS)))
    assert torch.equal(same, IMAGES)
    assert torch.equal(swapped, IMAGES[:, [0, 2, 1]])
    assert torch.equal(mirrored, IMAGES.flip(-1))


def test_images_that_differ_in_size_are_varied_one_by_one():
    one, other = IMAGES[0].numpy(), IMAGES[1, :, :1].numpy()
    varied = vary(objects([one, other]), np.array([1, len(COLOURS)]))
    assert np.array_equal(varied[0], one[[0, 2, 1]]) and np.array_equal(varied[1], other[..., ::-1])


def test_greys_are_mirrored_alone():
    grey = IMAGES[:, 0]
    assert torch.equal(vary(grey, np.array([1, 7])), torch.stack([grey[0], grey[1].flip(-1)]))


def test_a_share_of_the_classes_has_a_variant():
    rng = np.random.default_rng(0)
    assert not draw_variants(rng, 50, 0.0).any()
    drawn = draw_variants(rng, 10_000, 0.6)
    # A twelfth of the 60 % stays as it is.
    assert 0.53 < (drawn > 0).mean() < 0.57 and set(drawn) == set(range(COUNT))


@pytest.fixture
def samples():
    images = torch.arange(4 * 3 * 12, dtype=torch.uint8).view(12, 3, 2, 2)
    return Samples([*"abc"], np.array([0, 4, 8, 12]), {"image": Column(images)})


def test_both_sides_of_a_class_show_the_same_variant(samples):
    """Otherwise the same drawings, so that classes, rows and order are as without variants."""
    shape, mapping = EpisodeShape(3, 2, 2), [Mapping.parse("image:image")]
    plain, varied = (
        Sampler(samples, 0, "train", task_augmentation=v).draw(range(8), shape) for v in (0.0, 1.0)
    )
    assert plain.variants is None and np.array_equal(plain.support, varied.support)
    shown, as_it_is = gather(samples, varied, mapping), gather(samples, plain, mapping)
    assert varied.variants.any()
    for side in ("support", "query"):
        values, original = (
            getattr(b, side).values["image"].view(8, 3, 2, 3, 2, 2) for b in (shown, as_it_is)
        )
        for i, c in np.ndindex(8, 3):
            variant = np.full(2, varied.variants[i, c])
            assert torch.equal(values[i, c], vary(original[i, c], variant))


def test_episodes_are_the_same_whatever_came_before(samples):
    sampler = Sampler(samples, 0, "train", task_augmentation=0.5)
    several = sampler.draw(range(6), EpisodeShape(3, 1, 1))
    alone = sampler.draw([4], EpisodeShape(3, 1, 1))
    assert np.array_equal(several.variants[4], alone.variants[0])


def test_training_shows_variants_and_validation_none(samples):
    values = compose_plain(
        ["episode.train.task_augmentation=1.0", "episode.train.mappings=[image:image]"]
    )
    options = check_config(values).episode
    options.train.ways, options.train.shots, options.train.queries = 3, 1, 1
    batch = training_batches(samples, options.train, 4, 0)(0)
    options.train.task_augmentation = 0.0
    plain = training_batches(samples, options.train, 4, 0)(0)
    assert not torch.equal(batch.support.values["image"], plain.support.values["image"])
    assert Sampler(samples, 0, "val").draw(range(3), EpisodeShape(2, 1, 1)).variants is None


def test_variants_beside_names_are_refused():
    config = check_config(compose_plain(["episode.train.task_augmentation=0.5"]))
    with pytest.raises(
        UserError, match=r"task_augmentation=0.5 changes images, and text:image shows text"
    ):
        check_mappings(config.episode, Glyphs(), trains=True)


class Glyphs:
    name = "glyphs"
    modalities: ClassVar = {"image": Granularity.SAMPLE, "text": Granularity.CLASS}
