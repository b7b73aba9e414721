import pytest

from mmml.data.manifest.files import find, read
from mmml.errors import UserError

TABLE = "label,text\na,b\n"


@pytest.mark.parametrize(
    "name", ["metadata.csv", "Metadata.CSV", "METADATA.csv", "metadata.tsv", "metadata.ndjson"]
)
def test_the_table_of_a_folder_in_any_capitals(tmp_path, name):
    (tmp_path / name).write_text("" if name.endswith("ndjson") else TABLE)
    assert find(str(tmp_path), "dataset.root").name == name


def test_two_tables_that_differ_in_capitals_are_refused(tmp_path):
    for name in ("metadata.csv", "Metadata.csv"):
        (tmp_path / name).write_text(TABLE)
    with pytest.raises(UserError, match="name the file to be read"):
        find(str(tmp_path), "dataset.root")


def test_a_path_is_resolved_once(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "t.csv").write_text(TABLE)
    (tmp_path / "here").mkdir()
    (tmp_path / "link").symlink_to("data")
    monkeypatch.chdir(tmp_path / "here")
    full = tmp_path / "data" / "t.csv"
    for spelt in ("../data/t.csv", "../link/t.csv", "../here/../data/t.csv", str(full)):
        assert find(spelt, "dataset.root") == full.resolve()
    assert find("../link", "dataset.root") == (tmp_path / "data").resolve()


def test_a_table_that_is_a_link_belongs_to_the_folder_that_it_lies_in(tmp_path):
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / "f00").write_text(TABLE)
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "metadata.csv").symlink_to("../blobs/f00")
    assert (
        find(str(tmp_path / "snapshot"), "dataset.root")
        == (tmp_path / "snapshot").resolve() / "metadata.csv"
    )


def test_an_unknown_home_is_one_sentence():
    with pytest.raises(UserError, match=r"dataset.root=~nobody-of-that-name/x: "):
        find("~nobody-of-that-name/x", "dataset.root")


def test_a_table_without_rows(tmp_path):
    (tmp_path / "t.csv").write_text("label,text\n")
    with pytest.raises(UserError, match="has no rows"):
        read(tmp_path / "t.csv", "dataset.root")


def test_a_name_that_is_too_long_is_one_sentence():
    with pytest.raises(UserError, match="dataset.root=xxx.*: File name too long"):
        find("x" * 300, "dataset.root")
