import errno
import json
import os
import tempfile

import numpy as np
import pytest

from mmml.data import cache
from mmml.data.cache import cached_arrays, cached_folder
from mmml.errors import UserError, expected


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


def full(*of):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_told_once_and_the_work_goes_on(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path))
    monkeypatch.setattr(os, "fsync", full)
    for number in (1, 2):
        assert cached_arrays("a", {"k": number}, make(number))["x"].tolist() == [number] * 3
    assert caplog.text.count("cannot be written (No space left on device): nothing is cached") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("positions", [1, 2])
def test_where_a_disk_is_full_the_next_place_serves(tmp_path, monkeypatch, positions):
    """The cache, then a folder for temporary files, then memory."""
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "disk"))
    monkeypatch.setattr(cache, "MEMORY", str(tmp_path / "memory"))
    for name in ("disk", "memory"):
        (tmp_path / name).mkdir()
    cache.scratch_dir.cache_clear()
    tried = []

    def fill(folder):
        tried.append(folder.relative_to(tmp_path).parts[0])
        (folder / "a").write_text("x")
        return full() if len(tried) <= positions else True

    assert cached_folder("a", fill, lambda folder: (folder / "a").read_text()) == "x"
    assert tried == ["cache", "disk", "memory"][: positions + 1]
    assert [p.parent.name[:5] for p in tmp_path.rglob("a") if p.is_file()] == ["a"]
    cache.scratch_dir.cache_clear()


def test_where_every_disk_is_full_the_last_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    with pytest.raises(OSError, match="No space left on device") as error:
        cached_folder("a", full, lambda folder: None)
    assert isinstance(expected(error.value), UserError) and error.value.filename
