import numpy as np
import pytest

from mmml.data.base import split_classes
from mmml.errors import UserError

NAMES = [f"class {i}" for i in range(200)]


def test_splits_are_disjoint_and_complete():
    parts = split_classes(NAMES, 0, 0.15, 0.15)
    assert {k: len(v) for k, v in parts.items()} == {"train": 140, "val": 30, "test": 30}
    assert sorted(i for p in parts.values() for i in p) == list(range(200))


def test_the_split_depends_on_the_seed_alone_and_zero_is_a_seed():
    assert split_classes(NAMES, 0, 0.15, 0.15) == split_classes(NAMES, 0, 0.15, 0.15)
    assert len({tuple(split_classes(NAMES, s, 0.15, 0.15)["test"]) for s in (0, 1, 2)}) == 3


def test_a_class_that_comes_moves_few_others():
    before = {NAMES[i] for i in split_classes(NAMES, 0, 0.15, 0.15)["test"]}
    more = [*NAMES, "one more"]
    after = {more[i] for i in split_classes(more, 0, 0.15, 0.15)["test"]}
    assert len(before ^ after) <= 4


@pytest.mark.parametrize(("val", "test"), [(0.5, 0.5), (0, 0.1), (0.1, -0.1)])
def test_refuses_fractions_that_leave_nothing(val, test):
    with pytest.raises(UserError, match="fractions"):
        split_classes(NAMES, 0, val, test)


def test_columns_index_by_row_or_by_class(samples):
    rows, classes = np.array([[[4, 5], [0, 1]]]), np.array([[1, 0]])
    pick = np.array([[0.99, 0.0]])
    assert samples.columns["image"].index(rows, classes, pick).tolist() == rows.tolist()
    names = samples.columns["text"]
    assert names.values[names.index(rows, classes, pick)].tolist() == [["name 1.1", "name 0.0"]]


def test_classes_that_belong_together_are_in_one_split():
    together = np.arange(200) // 4
    parts = split_classes(NAMES, 0, 0.15, 0.15, together)
    assert sorted(i for p in parts.values() for i in p) == list(range(200))
    for part in parts.values():
        assert part == sorted(part) and np.bincount(together[part], minlength=50).tolist() == [
            4 * (n in set(together[part].tolist())) for n in range(50)
        ]
    assert len(parts["test"]) == 4 * round(0.15 * 50)
    assert split_classes(NAMES, 0, 0.15, 0.15, np.arange(200)) == split_classes(
        NAMES, 0, 0.15, 0.15
    )
