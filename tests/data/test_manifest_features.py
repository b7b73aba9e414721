"""Which features of a manifest cannot be used."""

import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmml.data.manifest import features
from mmml.data.manifest.features import bad_rows, vector_column
from mmml.data.values import Matrix
from mmml.errors import UserError


@pytest.mark.parametrize("chunk", [1, 2, 4, 100])
@pytest.mark.parametrize("shape", [(9, 2), (9, 2, 2)])
def test_rows_with_any_number_that_is_not_finite_are_found_wherever_they_stand(
    tmp_path, monkeypatch, chunk, shape
):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(features, "CHUNK", chunk)
    array = np.ones(shape)
    array[0].flat[1], array[5].flat[0], array[8] = np.inf, np.nan, 1e39  # which float32 cannot hold
    np.save(tmp_path / "m.npy", array)
    assert bad_rows(Matrix(tmp_path / "m.npy")).tolist() == [0, 5, 8]


def test_whole_numbers_are_all_finite(tmp_path):
    np.save(tmp_path / "m.npy", np.ones((3, 2), np.int16))
    assert bad_rows(Matrix(tmp_path / "m.npy")).tolist() == []


def test_what_float32_cannot_hold_is_not_finite(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    pq.write_table(pa.table({"features": [[1.0], [1e300]]}), tmp_path / "t.parquet")
    assert bad_rows(vector_column(tmp_path / "t.parquet")).tolist() == [1]
    np.save(tmp_path / "m.npy", np.array([[1.0], [1e300]]))
    with warnings.catch_warnings(action="error"):
        assert Matrix(tmp_path / "m.npy")[:].tolist() == [[1.0], [float("inf")]]


@pytest.mark.parametrize(
    ("vectors", "message"),
    [
        ([[1.0], [1.0, 2.0]], "different lengths"),
        ([[1.0], None], "some are missing"),
        (pa.array([[], []], pa.list_(pa.float32())), "missing or empty"),
        ([["a"], ["b"]], "and not vectors"),
        ([[[1.0]], [[2.0]]], "and not vectors"),
        ([1.0, 2.0], "and not vectors"),
    ],
)
def test_a_column_of_other_things_than_vectors_is_refused(tmp_path, monkeypatch, vectors, message):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    pq.write_table(pa.table({"features": vectors}), tmp_path / "t.parquet")
    with pytest.raises(UserError, match=message):
        vector_column(tmp_path / "t.parquet")


@pytest.mark.parametrize("state", ["empty", "cut", "a folder"])
def test_vectors_whose_copy_is_damaged_are_copied_anew(tmp_path, monkeypatch, state, caplog):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    pq.write_table(pa.table({"features": [[1.0, 2.0], [3.0, 4.0]]}), tmp_path / "t.parquet")
    copy = vector_column(tmp_path / "t.parquet").path
    full = copy.read_bytes()
    copy.unlink()
    copy.mkdir() if state == "a folder" else copy.write_bytes(
        full[: {"empty": 0, "cut": -4}[state]]
    )
    assert vector_column(tmp_path / "t.parquet")[:].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert "cannot be read" in caplog.text and (copy.is_dir() or copy.read_bytes() == full)
