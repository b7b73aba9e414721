import numpy as np
import pytest
import torch

from mmml.data import duplicates
from mmml.data.duplicates import READ, fingerprints, identical, if_any, linked
from mmml.data.values import Ragged, objects


def test_equal_images_sounds_and_texts_share_a_number():
    images = torch.zeros(4, 3, 3, dtype=torch.uint8)
    images[1, 0, 0] = 1
    assert identical(images).tolist() == [0, 1, 0, 0]
    assert identical(objects([np.zeros(3), np.zeros(4), np.zeros(3)])).tolist() == [0, 1, 0]
    assert identical(objects(["yes", "no", "yes", "Yes"])).tolist() == [0, 1, 0, 2]


def test_arrays_of_other_shapes_differ_though_their_bytes_are_the_same():
    assert identical(objects([np.zeros((2, 3)), np.zeros((3, 2))])).tolist() == [0, 1]


def test_values_are_compared_across_what_is_read_at_a_time():
    values = torch.arange(READ + 2, dtype=torch.int64)
    values[-1] = 0
    assert identical(values).tolist() == [*range(READ + 1), 0]


def test_rows_that_share_a_fingerprint_are_compared_as_a_whole(monkeypatch):
    values = torch.tensor([[1, 2], [2, 1], [1, 2], [3, 3]])
    monkeypatch.setattr(duplicates, "fingerprints", lambda batch: np.zeros(len(batch), np.uint64))
    assert identical(values).tolist() == [0, 1, 0, 2]


def test_known_digests_are_taken_and_nothing_is_read():
    data, shapes = np.zeros(4, np.uint8), np.array([[1], [1], [2]])
    values = Ragged(data, shapes, "id", digests=np.array([b"a", b"b", b"a"]))
    values.data = None
    assert identical(values).tolist() == [0, 1, 0]


@pytest.mark.parametrize("shape", [(3,), (1, 5), (16,), (1,)])
def test_one_other_byte_gives_another_fingerprint(shape):
    batch = np.zeros((4, *shape), np.uint8)
    batch[1, ..., 0], batch[2, ..., -1] = 1, 2
    prints = fingerprints(batch)
    assert len(set(prints.tolist())) == 3 and prints[0] == prints[3]


def test_rows_are_linked_by_any_numbering():
    assert linked(np.array([0, 0, 1, 2, 3]), np.array([0, 1, 1, 2, 3])).tolist() == [0, 0, 0, 1, 2]
    assert linked(np.array([2, 0, 2])).tolist() == [0, 1, 0]
    assert len(linked(np.zeros(0, np.int64))) == 0


def test_rows_that_all_differ_have_no_numbers():
    assert if_any(np.array([3, 1, 2])) is None
    assert if_any(np.array([1, 0, 1])).tolist() == [1, 0, 1]
