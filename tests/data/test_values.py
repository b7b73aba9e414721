import numpy as np
import torch

from mmml.data.values import (
    Matrix,
    Ragged,
    Subset,
    evenly_spaced,
    identity_of,
    objects,
)


def test_arrays_of_one_shape_come_as_a_tensor():
    values = Ragged(np.arange(12, dtype=np.float32), np.array([[2, 2]] * 3), "x")
    assert values[np.array([2, 0])].tolist() == [[[8, 9], [10, 11]], [[0, 1], [2, 3]]]
    assert values[1:2].shape == (1, 2, 2)


def test_arrays_of_differing_shapes_come_as_objects():
    values = Ragged(np.arange(6, dtype=np.float32), np.array([[1], [2], [3]]), "x")
    found = values[np.array([2, 0])]
    assert found.dtype == object and found[0].tolist() == [3, 4, 5] and found[1].tolist() == [0]


def test_rows_pick_and_repeat():
    values = Subset(torch.tensor([10, 20, 30]), np.array([2, 2, 0]))
    assert (
        len(values) == 3
        and values[np.array([2, 1])].tolist() == [10, 30]
        and values[0:2].tolist() == [30, 30]
    )


def test_a_matrix_is_read_as_float32(tmp_path):
    np.save(tmp_path / "m.npy", np.arange(6, dtype=np.float64).reshape(3, 2))
    assert Matrix(tmp_path / "m.npy")[np.array([2])].tolist() == [[4, 5]]
    assert Matrix(tmp_path / "m.npy")[0:1].dtype == torch.float32


def test_objects_of_one_shape_stay_objects():
    assert objects([np.zeros(2), np.zeros(2)]).shape == (2,) and objects([np.zeros(3)]).shape == (
        1,
    )


def test_identity_changes_with_the_content():
    a, b = torch.tensor([1, 2]), torch.tensor([1, 3])
    assert identity_of(a) == identity_of(a.clone()) != identity_of(b)
    assert identity_of(a) != identity_of(a.float()) and identity_of(a) != identity_of(a.view(2, 1))
    assert identity_of(objects(["a"])) != identity_of(objects(["b"]))
    assert identity_of(Subset(a, np.array([0]))) != identity_of(Subset(a, np.array([1])))


def test_identity_of_long_arrays_looks_at_all_of_them():
    long = [np.zeros(5000, np.float32), np.zeros(6000, np.float32)]
    other = [long[0].copy(), long[1]]
    other[0][2500] = 1
    assert identity_of(objects(long)) != identity_of(objects(other))
    assert identity_of(objects(["ab", "c"])) != identity_of(objects(["a", "bc"]))


def test_positions_are_evenly_spaced_with_both_ends():
    assert evenly_spaced(9, 3).tolist() == [0, 4, 8] and evenly_spaced(3, 5).tolist() == [0, 1, 2]
    assert evenly_spaced(7, 1).tolist() == [0]
    assert all(
        len(set(evenly_spaced(n, k).tolist())) == min(n, k)
        for n in range(1, 30)
        for k in range(1, 30)
    )
