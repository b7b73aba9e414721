import numpy as np
import pytest
import torch

from mmml.data.missing import Gappy, Partial, join, present_values
from mmml.data.values import identity_of

PRESENT = np.array([True, False, True, True, False])


def gappy():
    return Gappy(torch.tensor([[1.0], [2.0], [3.0]]), PRESENT)


def test_batches_hold_what_is_there():
    batch = gappy()[np.array([4, 3, 0, 3])]
    assert batch.present.tolist() == [False, True, True, True] and batch.values.flatten().tolist() == [3, 1, 3]
    assert len(batch) == 4 and len(gappy()[1:2]) == 1 and len(present_values(gappy()[1:2])) == 0
    assert len(gappy()) == 5 and len(present_values(gappy())) == 3
    with pytest.raises(ValueError, match="2 values for 3 samples"):
        Gappy(torch.ones(2, 1), PRESENT)


def test_batches_are_joined_with_whole_ones():
    joined = join([gappy()[:2], torch.tensor([[7.0]])])
    assert isinstance(joined, Partial) and joined.present.tolist() == [True, False, True]
    assert joined.values.flatten().tolist() == [1, 7]
    assert join([torch.ones(1, 1), torch.ones(2, 1)]).shape == (3, 1)


def test_what_is_missing_is_part_of_the_identity():
    values = torch.ones(3, 1)
    assert identity_of(Gappy(values, PRESENT)) != identity_of(Gappy(values, PRESENT[::-1].copy()))
