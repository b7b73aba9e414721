import zipfile

import pytest

from mmml.data.archives import members, unpacked
from mmml.errors import UserError


def archive(folder):
    with zipfile.ZipFile(folder / "some.zip", "w") as file:
        file.writestr("top/one/a.txt", "A")
        file.writestr("__MACOSX/one/a.txt", "left by macOS")
        file.writestr("top/one/.b.txt", "hidden")
        file.writestr("c.png", "another suffix")
    return folder / "some.zip"


def test_files_come_from_archives_and_from_beside_them(tmp_path):
    (tmp_path / "d.txt").write_text("D")
    found = {
        place.name: data for place, data in members([archive(tmp_path), tmp_path / "d.txt"], ".txt")
    }
    assert found == {"a.txt": b"A", "d.txt": b"D"}


@pytest.mark.parametrize("writable", [True, False])
def test_they_are_unpacked_once_even_if_the_cache_cannot_be_written(
    tmp_path, monkeypatch, caplog, writable
):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    if not writable:
        (tmp_path / "cache").touch()
    folder = unpacked([archive(tmp_path)], ".txt")
    assert (folder / "one" / "a.txt").read_text() == "A"
    assert (
        folder.is_relative_to(tmp_path) == writable
        and ("nothing is cached" in caplog.text) != writable
    )
    (folder / "one" / "a.txt").write_text("read again")
    again = unpacked([tmp_path / "some.zip"], ".txt")
    assert (again / "one" / "a.txt").read_text() == "read again"


def test_a_damaged_archive_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    full = archive(tmp_path).read_bytes()
    (tmp_path / "some.zip").write_bytes(full[:60])
    with pytest.raises(
        UserError, match=r"some.zip is no whole zip file \(File is not a zip file\): get it anew"
    ):
        unpacked([tmp_path / "some.zip"], ".txt")
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("name", ["/a.txt", "../a.txt", "one/../../a.txt"])
def test_a_path_that_leads_out_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as file:
        file.writestr(name, "A")
    with pytest.raises(UserError, match="which would lie outside"):
        unpacked([tmp_path / "some.zip"], ".txt")
    assert not list((tmp_path / "cache").iterdir())


def test_what_is_there_twice_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    with zipfile.ZipFile(tmp_path / "some.zip", "w") as file:
        file.writestr("x/one/a.txt", "A")
        file.writestr("y/one/a.txt", "B")
    with pytest.raises(UserError, match="dataset.root: one/a.txt is in the archives twice"):
        unpacked([tmp_path / "some.zip"], ".txt")
