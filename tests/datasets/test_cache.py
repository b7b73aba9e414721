import json

import numpy as np

from mmml.datasets.cache import cached_arrays


def make(value):
    return lambda: {"x": np.full(3, value)}


def test_hits_only_for_the_same_key(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path))
    assert cached_arrays("a", {"k": 1}, make(1))["x"].tolist() == [1, 1, 1]
    assert cached_arrays("a", {"k": 1}, make(2))["x"].tolist() == [1, 1, 1]
    assert cached_arrays("a", {"k": 2}, make(2))["x"].tolist() == [2, 2, 2]


def test_writes_the_key_beside_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path))
    cached_arrays("a", {"k": 1}, make(1))
    (key,) = tmp_path.glob("a-*.json")
    assert json.loads(key.read_text()) == {"k": 1}
    assert not list(tmp_path.glob("*.tmp"))


def test_a_damaged_file_is_made_anew(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path))
    cached_arrays("a", {"k": 1}, make(1))
    (file,) = tmp_path.glob("a-*.npz")
    file.write_bytes(file.read_bytes()[:50])
    assert cached_arrays("a", {"k": 1}, make(3))["x"].tolist() == [3, 3, 3]
    assert "made anew" in caplog.text


def test_an_object_array_is_not_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path))
    cached_arrays("a", {"k": 1}, make(1))
    (file,) = tmp_path.glob("a-*.npz")
    np.savez(file, x=np.array([{"code": "evil"}], dtype=object))
    assert cached_arrays("a", {"k": 1}, make(4))["x"].tolist() == [4, 4, 4]


def test_works_without_a_place_to_write(tmp_path, monkeypatch, caplog):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("MMML_CACHE", str(blocked / "cache"))
    assert cached_arrays("a", {"k": 1}, make(1))["x"].tolist() == [1, 1, 1]
    assert "nothing is cached" in caplog.text
