"""Which features of a manifest cannot be used."""

import numpy as np
import pytest

from mmml.datasets.manifest import features
from mmml.datasets.manifest.features import bad_rows
from mmml.datasets.values import Matrix


@pytest.mark.parametrize("chunk", [1, 2, 4, 100])
@pytest.mark.parametrize("shape", [(9, 2), (9, 2, 2)])
def test_rows_with_any_number_that_is_not_finite_are_found_wherever_they_stand(tmp_path, monkeypatch, chunk, shape):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(features, "CHUNK", chunk)
    array = np.ones(shape)
    array[0].flat[1], array[5].flat[0], array[8] = np.inf, np.nan, 1e39  # which float32 cannot hold
    np.save(tmp_path / "m.npy", array)
    assert bad_rows(Matrix(tmp_path / "m.npy")).tolist() == [0, 5, 8]


def test_whole_numbers_are_all_finite(tmp_path):
    np.save(tmp_path / "m.npy", np.ones((3, 2), np.int16))
    assert bad_rows(Matrix(tmp_path / "m.npy")).tolist() == []
