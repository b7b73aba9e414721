import numpy as np
import pytest
import torch

from mmml.data.column import Column, concat, filled, is_present, mask_of, where
from mmml.data.values import Subset, identity_of, objects

PRESENT = np.array([True, False, True, True, False])
NEVER = -1  # the position of a value that is missing in those of a column


def column():
    """Of five samples that have 1, nothing, 2, 3 and nothing."""
    values = torch.tensor([[1.0], [2.0], [3.0]])
    return Column(Subset(values, np.array([0, NEVER, 1, 2, NEVER])), mask_of(PRESENT))


def test_a_batch_keeps_the_mask_and_shows_what_is_present():
    batch = column().take(np.array([4, 3, 0, 3]))
    assert batch.mask.tolist() == [False, True, True, True] and batch.values.flatten().tolist() == [
        0,
        3,
        1,
        3,
    ]
    assert batch.present[:].flatten().tolist() == [3, 1, 3] and batch.positions.tolist() == [
        1,
        2,
        3,
    ]
    first = column().take(slice(1, 2))
    assert len(first) == 1 and len(first.present[:]) == 0
    assert len(column()) == 5 and len(column().present) == 3


def test_a_mask_takes_more_away():
    batch = column().take(np.array([0, 1, 2]), torch.tensor([False, True, True]))
    assert batch.mask.tolist() == [False, False, True] and batch.values.flatten().tolist() == [
        0,
        0,
        2,
    ]
    full = Column(torch.arange(3)).take(np.array([2, 1]), torch.tensor([True, False]))
    assert full.mask.tolist() == [True, False] and full.values.tolist() == [2, 0]


def test_a_column_without_missing_values_has_no_mask():
    assert mask_of(np.ones(3, bool)) is None
    texts = Column(objects(["a", "b"]))
    assert texts.take(np.array([1])).mask is None and texts.present is texts.values
    assert is_present(texts).tolist() == [True, True] and texts.positions.tolist() == [0, 1]


def test_what_is_missing_is_never_read():
    """Not even where nothing is there to be read."""
    nothing = Column(
        Subset(torch.zeros(0, 2), np.array([NEVER, NEVER])), torch.tensor([False, False])
    )
    batch = nothing.take(np.array([1, 0, 1]))
    assert (
        batch.values.shape == (3, 2) and not batch.mask.any() and batch.present[:].shape == (0, 2)
    )


def test_missing_values_are_filled_in():
    mask = torch.tensor([False, True, False])
    assert filled(torch.tensor([[1, 2]]), mask).tolist() == [[0, 0], [1, 2], [0, 0]]
    assert filled(objects([np.ones(2)]), mask)[0] is None
    values = torch.ones(3)
    assert (
        filled(values, None) is values and filled(values, torch.ones(3, dtype=torch.bool)) is values
    )


def test_what_fills_in_is_where_the_embeddings_are():
    """A device that is not the CPU, without one."""
    values = torch.ones(2, 3, device="meta")
    assert filled(values, torch.tensor([True, False, True])).device.type == "meta"


def test_batches_are_joined_with_their_masks():
    joined = concat([column().take(slice(0, 2)), Column(torch.tensor([[7.0]]))])
    assert joined.mask.tolist() == [True, False, True] and joined.values.flatten().tolist() == [
        1,
        0,
        7,
    ]
    assert concat([Column(torch.ones(1, 1)), Column(torch.ones(2, 1))]).mask is None
    assert concat([Column(objects(["a"])), Column(objects(["b", "c"]))]).values.tolist() == [
        "a",
        "b",
        "c",
    ]
    assert concat([Column(torch.ones(1, 1), prepared=True)] * 2).prepared


def test_values_are_changed_where_they_are_present():
    doubled = (
        column()
        .take(slice(0, 5))
        .change(lambda values, at: 2 * values + torch.from_numpy(at)[:, None])
    )
    assert (
        doubled.values.flatten().tolist() == [2, 0, 6, 9, 0]
        and doubled.mask.tolist() == PRESENT.tolist()
    )


def test_embeddings_and_masks_change_together():
    embeddings = Column(
        torch.arange(6.0).view(3, 2), torch.tensor([True, False, True]), encoded=True
    )
    moved = embeddings.map(lambda t: t[[1, 0]])
    assert moved.values.tolist() == [[2, 3], [0, 1]] and moved.mask.tolist() == [False, True]


@pytest.mark.parametrize("masked", [True, False])
def test_one_of_two_embeddings_comes_with_its_mask(masked):
    first = Column(
        torch.ones(3, 2), torch.tensor([True, False, False]) if masked else None, encoded=True
    )
    second = Column(torch.zeros(3, 2), encoded=True)
    chosen = where(torch.tensor([True, True, False]), first, second)
    assert chosen.values[:, 0].tolist() == [1, 1, 0]
    assert chosen.mask.tolist() == [True, False, True] if masked else chosen.mask is None


def test_what_is_missing_is_part_of_the_identity():
    values = torch.ones(5, 1)
    one, other = (Column(values, torch.from_numpy(p)) for p in (PRESENT, PRESENT[::-1].copy()))
    assert identity_of(one.present) != identity_of(other.present)
