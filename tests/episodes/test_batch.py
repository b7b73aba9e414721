from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.data.column import Column
from mmml.episodes import EpisodeShape, ExampleSet, Mapping, Sampler, gather
from mmml.episodes.corruptions import build_corruptions
from tests.conftest import scored_examples

MAPPINGS = [Mapping.parse(m) for m in ("image:image", "text:image", "image+text:image")]


@pytest.fixture
def batch(samples):
    drawn = Sampler(samples, 0, "train").draw([0, 1], EpisodeShape(3, 2, 1))
    return drawn, gather(samples, drawn, MAPPINGS)


def fingerprint(modality, column):
    """An embedding that tells which value it came from."""
    if modality == "image":
        return column.values.flatten(1).float()[:, :4]
    return torch.tensor([[float(t.split()[1].split(".")[0])] * 4 for t in column.values])


def test_one_episode_of_several(samples, batch):
    _, got = batch
    encoded = got.encode(fingerprint).support
    second = encoded.episode(1)
    assert second.shapes == {"image": (1, 3, 2), "text": (1, 3, 1)} and all(
        c.encoded for c in second.columns.values()
    )
    assert torch.equal(second.items("text"), encoded.items("text")[1:])
    scored = scored_examples(encoded.columns, {"image": (2, 3, 2)}, torch.arange(12.0))
    labelled = replace(scored, ragged_labels={"image": torch.arange(12).view(2, 6)}).episode(1)
    last = [[6, 7, 8, 9, 10, 11]]
    assert (
        labelled.answers.items("score").tolist() == last == labelled.ragged_labels["image"].tolist()
    )


def test_gathers_the_rows_that_were_drawn(samples, batch):
    drawn, got = batch
    images = got.support.values["image"]
    assert torch.equal(
        images, samples.columns["image"].values[torch.from_numpy(drawn.support.ravel())]
    )
    assert got.support.shapes == {"image": (2, 3, 2), "text": (2, 3, 1)}
    assert [
        int(t.split()[1].split(".")[0]) for t in got.support.values["text"]
    ] == drawn.classes.ravel().tolist()


def test_a_mapping_shows_its_modalities_only(batch):
    support, query = batch[1].view(MAPPINGS[1])
    assert list(support.values) == ["text"] and list(query.values) == ["image"]


def test_labels_count_items_class_by_class(batch):
    support, _ = batch[1].view(MAPPINGS[2])
    assert support.labels.tolist() == [[0, 0, 1, 1, 2, 2]] * 2
    assert batch[1].view(MAPPINGS[1])[0].labels.tolist() == [[0, 1, 2]] * 2


def test_encoding_all_at_once_equals_encoding_each_side(batch):
    together = batch[1].encode(fingerprint)
    for mapping in MAPPINGS:
        for full, raw in zip(together.view(mapping), batch[1].view(mapping), strict=True):
            alone = raw.encode(fingerprint)
            assert all(c.encoded for side in (full, alone) for c in side.columns.values())
            for modality in raw.values:
                assert torch.equal(full.values[modality], alone.values[modality])


def test_encoded_columns_give_the_same_episodes(samples, batch):
    drawn, got = batch
    bank = samples.with_embeddings(
        {m: fingerprint(m, samples.columns[m]) for m in ("image", "text")}
    )
    from_bank, directly = gather(bank, drawn, MAPPINGS), got.encode(fingerprint)
    for side in ("support", "query"):
        for modality, values in getattr(directly, side).values.items():
            assert torch.equal(getattr(from_bank, side).values[modality], values)


def test_one_modality_may_be_cached_and_another_raw(samples, batch):
    drawn, got = batch
    bank = samples.with_embeddings({"text": fingerprint("text", samples.columns["text"])})
    mixed = replace(samples, columns={**samples.columns, **bank.columns})
    full = gather(mixed, drawn, MAPPINGS)
    assert {m for m, c in full.support.columns.items() if c.encoded} == {"text"}
    for modality, values in got.encode(fingerprint).support.values.items():
        assert torch.equal(full.encode(fingerprint).support.values[modality], values)


def test_names_are_picked_among_those_of_the_class(samples):
    drawn = Sampler(samples, 0, "train").draw(range(50), EpisodeShape(6, 1, 1))
    texts = gather(samples, drawn, [MAPPINGS[1]]).support.values["text"].reshape(50, 6)
    names = {t for t, c in zip(texts.ravel(), drawn.classes.ravel(), strict=True) if c == 1}
    assert names == {"name 1.0", "name 1.1"}
    assert isinstance(texts, np.ndarray)


def test_one_episode_has_the_copies_of_its_own(samples, batch):
    encoded = batch[1].encode(fingerprint).support
    where = torch.zeros(2, 3, 1, dtype=torch.bool)
    where[1, 2] = True
    side = replace(encoded, copies=(("text", "image", where),))
    for i in range(2):
        assert torch.equal(side.episode(i).items("text"), side.items("text")[i : i + 1])
        assert torch.equal(
            side.episode(i).copied().values["text"], side.copied().values["text"][i : i + 1]
        )


@pytest.fixture
def gaps(samples):
    """Every third image is missing."""
    image = replace(samples.columns["image"], mask=torch.arange(39) % 3 > 0)
    return replace(samples, columns={**samples.columns, "image": image})


def test_masks_go_from_columns_to_items(gaps):
    drawn = Sampler(gaps, 0, "train").draw([0, 1], EpisodeShape(3, 2, 1))
    got = gather(gaps, drawn, MAPPINGS)
    rows = torch.from_numpy(drawn.support)
    assert got.support.columns["image"].mask.tolist() == (rows.flatten() % 3 > 0).tolist()
    encoded = got.encode(lambda modality, batch: torch.ones(len(batch), 4)).support
    assert (
        encoded.columns["image"].mask.equal(rows % 3 > 0) and encoded.columns["text"].mask is None
    )
    assert (
        encoded.shown("image").mask.equal((rows % 3 > 0).flatten(1))
        and encoded.shown("text").mask is None
    )
    assert encoded.episode(1).shown("image").mask.equal((rows % 3 > 0).flatten(1)[1:])


def test_what_one_side_lacks_is_masked_on_that_side_alone(samples):
    drawn = Sampler(samples, 0, "train", corruptions=build_corruptions(
        [{"name": "missing", "modality": "image", "amount": 0.5, "side": "query"}], "x")
    ).draw(range(20), EpisodeShape(3, 2, 1))  # fmt: skip
    got = gather(samples, drawn, MAPPINGS)
    calls = []

    def encode(modality, batch):
        calls.append((modality, batch.mask is not None))
        return torch.ones(len(batch), 4)

    got = got.encode(encode)
    assert sorted(calls) == [("image", True), ("text", False)]
    assert got.support.columns["image"].mask is None and not got.query.columns["image"].mask.all()


def test_a_copy_comes_with_the_mask_of_what_it_copies(samples, batch):
    encoded = batch[1].encode(fingerprint).support
    lacking = torch.ones(2, 3, 2, dtype=torch.bool)
    lacking[0, 1, 0] = lacking[1, 2, 1] = False
    columns = encoded.columns | {"image": replace(encoded.columns["image"], mask=lacking)}
    copied = torch.zeros(2, 3, 1, dtype=torch.bool)
    copied[0, 1] = copied[1, 2] = True
    side = replace(encoded, columns=columns, copies=(("text", "image", copied),))
    expected = torch.ones(2, 3, 2, dtype=torch.bool)
    expected[0, 1, 0] = expected[1, 2, 1] = False
    assert side.shown("text").mask.equal(expected.flatten(1))
    # Of the first item of a class.
    assert side.copied().columns["text"].mask.equal(expected[:, :, :1])


def test_names_are_masked_for_all_items_of_their_class():
    texts = Column(torch.ones(2, 4), torch.tensor([True, False]), encoded=True)
    labels = {"image": torch.tensor([[0, 0, 1]]), "text": torch.tensor([[0, 1]])}
    side = ExampleSet.of(
        {"image": Column(torch.ones(3, 4), encoded=True), "text": texts}, ragged_labels=labels
    )
    assert side.shown("text").mask.tolist() == [[True, True, False]]
    even = replace(side, shapes={"image": (1, 2, 3), "text": (1, 2, 1)}, ragged_labels=None)
    even = replace(
        even, columns={"text": side.columns["text"].map(lambda t: t.view(1, 2, 1, *t.shape[3:]))}
    )
    assert even.shown("text").mask.tolist() == [[True] * 3 + [False] * 3]
