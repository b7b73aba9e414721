"""Which side of an episode is corrupted, and that nothing is corrupted twice in the same way."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column, is_present
from mmml.data.values import objects
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather
from mmml.episodes.corruptions import Corrupted, build_corruptions
from mmml.episodes.sampler import VARIANTS
from mmml.episodes.setup import SHAPE as SHAPE_OF_STEP

IMAGES = Mapping.parse("image:image")
SHAPE = EpisodeShape(4, 2, 2)
GREY = torch.full((39, 8, 8), 128, dtype=torch.uint8)
SENTENCE = "a sentence that is the same for every sample of every class"


def shown(samples: Samples, *sections: dict, mapping: Mapping = IMAGES) -> tuple:
    """What both sides show of 20 episodes: the only modality."""
    corruptions = build_corruptions(sections, "episode.eval.corruptions")
    batch = gather(
        samples,
        Sampler(samples, 0, "test", corruptions=corruptions).draw(range(20), SHAPE),
        [mapping],
    )
    return tuple(next(iter(side.columns.values())) for side in (batch.support, batch.query))


def values_of(column: Column) -> list:
    """Values and their mask as what can be compared."""
    return [column.values.tolist(), is_present(column).tolist()]


@pytest.fixture
def alike(samples: Samples) -> Samples:
    """All images are grey, and all texts the same; whatever differs was corrupted."""
    texts = Column(objects([SENTENCE] * 39))
    return replace(samples, columns={"image": Column(GREY), "source_text": texts})


@pytest.mark.parametrize("side", ["support", "query"])
@pytest.mark.parametrize("name", ["missing", "mismatched", "noise", "occlusion"])
def test_the_side_that_is_not_meant_stays_as_it_was(samples, name, side):
    clean = shown(samples)
    found = shown(samples, {"name": name, "modality": "image", "amount": 0.6, "side": side})
    assert [values_of(a) == values_of(b) for a, b in zip(clean, found, strict=True)] == [
        side != "support",
        side != "query",
    ]


@pytest.mark.parametrize("name", ["missing", "noise", "occlusion"])
def test_both_sides_are_corrupted_each_in_its_own_way(alike, name):
    support, query = (
        values_of(s) for s in shown(alike, {"name": name, "modality": "image", "amount": 0.5})
    )
    clean, _ = (values_of(s) for s in shown(alike))
    assert support != clean != query
    assert support != query


def test_no_episode_has_the_same_noise_on_both_sides(alike):
    support, query = (
        s.values.view(20, 8, 8, 8)
        for s in shown(alike, {"name": "noise", "modality": "image", "amount": 0.5})
    )
    assert not any(torch.equal(s[0], q[0]) for s, q in zip(support, query, strict=True))
    # No two values of either side are corrupted alike.
    assert len(torch.cat([support, query]).flatten(0, 1).unique(dim=0)) == 320


def test_no_episode_has_the_same_typos_on_both_sides(alike):
    section = {"name": "typos", "modality": "source_text", "amount": 0.5}
    sides = shown(alike, section, mapping=Mapping.parse("source_text:source_text"))
    support, query = (s.values.reshape(20, 8)[:, 0].tolist() for s in sides)
    assert SENTENCE not in support + query and not any(
        s == q for s, q in zip(support, query, strict=True)
    )


def test_an_amount_is_drawn_anew_for_each_side(alike):
    sides = shown(alike, {"name": "noise", "modality": "image", "amount": [0.0, 0.3]})
    support, query = (s.values.float().view(20, -1).std(1).numpy() for s in sides)
    assert abs(np.corrcoef(support, query)[0, 1]) < 0.5 and np.abs(support - query).max() > 10


def test_what_is_corrupted_twice_is_corrupted_in_two_ways(alike):
    """Deviations of independent noises add up as squares do; of the same noise they
    would be added: 15.3.
    """
    section = {"name": "noise", "modality": "image", "amount": 0.03}
    once, twice = (
        shown(alike, *several)[0].values.float().std().item()
        for several in ([section], [section] * 2)
    )
    assert once == pytest.approx(7.65, rel=0.03) and twice == pytest.approx(7.65 * 2**0.5, rel=0.03)


def test_every_corruption_of_every_side_has_random_numbers_of_its_own():
    """Other ones than what draws the episode itself, a step's shape and variants."""
    requests = []
    sections = [{"name": "noise", "modality": "image", "amount": 0.5}] * 3
    made = build_corruptions(sections, "episode.eval.corruptions")
    numbers = range(2)
    corrupts = Corrupted(
        made,
        numbers,
        lambda n, purpose: (requests.append((n, purpose)), np.random.default_rng(0))[1],
    )
    for side in ("support", "query"):
        corrupts.corrupt(Column(GREY[:4]), side, "image")
    assert len(requests) == len(set(requests)) == 3 * 2 * 2
    assert not {purpose for _, purpose in requests} & {0, SHAPE_OF_STEP, VARIANTS}
