import pytest

from mmml.data.manifest.folders import read_folders, split_of
from mmml.errors import UserError


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def found(root):
    return read_folders(root, "dataset.root").table.to_pylist()


def test_every_file_is_a_row_or_counted(tmp_path):
    make(
        tmp_path,
        "a/1.png",
        "a/2.JFIF",
        "a/3.heic",
        "a/notes.txt",
        "b/4.JPE",
        "b/.DS_Store",
        "b/README",
        "b/x.txt",
    )
    sheet = read_folders(tmp_path, "dataset.root")
    assert sheet.table["image_file_name"].to_pylist() == [
        "a/1.png",
        "a/2.JFIF",
        "a/3.heic",
        "b/4.JPE",
    ]
    assert sheet.left_out == {"with the suffix .txt": 2, "hidden": 1, "without a suffix": 1}
    assert sheet.table.num_rows + sum(sheet.left_out.values()) == 8


@pytest.mark.parametrize(
    ("suffix", "modality"),
    [(".opus", "audio"), (".aac", "audio"), (".m4v", "video"), (".WAV", "audio")],
)
def test_suffixes_of_phones_and_browsers(tmp_path, suffix, modality):
    assert found(make(tmp_path, f"a/1{suffix}")) == [
        {f"{modality}_file_name": f"a/1{suffix}", "label": "a"}
    ]


def test_two_classes_may_link_one_folder(tmp_path):
    make(tmp_path, "pool/shared/1.png", "set/a/own.png", "set/b/own.png")
    for c in "ab":
        (tmp_path / "set" / c / "more").symlink_to("../../pool/shared")
    names = [(row["label"], row["image_file_name"]) for row in found(tmp_path / "set")]
    assert names == [
        ("a", "a/own.png"),
        ("a", "a/more/1.png"),
        ("b", "b/own.png"),
        ("b", "b/more/1.png"),
    ]


def test_links_in_a_circle_end(tmp_path):
    make(tmp_path, "a/1.png")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "a" / "here").symlink_to(".")
    assert [row["image_file_name"] for row in found(tmp_path)] == ["a/1.png"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("Train", "train"),
        ("TRAINING", "train"),
        ("Testing", "test"),
        ("Valid", "val"),
        ("dev", "val"),
        ("other", None),
        ("test_set", "test"),
        ("Trainset", "train"),
        ("set", None),
    ],
)
def test_names_of_splits(name, split):
    assert split_of(name) == split


def test_split_folders_in_capitals(tmp_path):
    make(tmp_path, "Training/a/1.png", "Testing/b/1.png")
    assert [(row["split"], row["label"]) for row in found(tmp_path)] == [
        ("Testing", "b"),
        ("Training", "a"),
    ]


def test_a_folder_without_media_says_what_it_holds(tmp_path):
    make(tmp_path, "a/1.txt", "a/2.txt", "Data.CSV")
    with pytest.raises(
        UserError,
        match=r"2 files with the suffix \.txt\); name the table: dataset.root=.*Data\.CSV",
    ):
        found(tmp_path)


def test_what_is_hidden_broken_or_beside_the_splits_is_counted(tmp_path):
    make(
        tmp_path,
        "train/a/1.png",
        "test/b/2.png",
        "3.png",
        "more/README",
        "train/.thumbs/x/4.png",
        "train/.thumbs/5.png",
    )
    (tmp_path / "train" / "a" / "gone.png").symlink_to("nowhere.png")
    (tmp_path / "train" / "a" / "self.png").symlink_to("self.png")
    sheet = read_folders(tmp_path, "dataset.root")
    assert sheet.table["image_file_name"].to_pylist() == ["test/b/2.png", "train/a/1.png"]
    assert sheet.left_out == {
        "in hidden folders": 2,
        "as broken links, pipes or the like": 2,
        "without a suffix": 1,
        "beside the folders of the splits": 1,
    }


def test_a_hidden_folder_makes_no_splits_of_classes(tmp_path):
    make(tmp_path, "train/1.png", "test/2.png", "train/.thumbs/3.png")  # vehicles and exams
    assert [(row["label"], "split" in row) for row in found(tmp_path)] == [
        ("test", False),
        ("train", False),
    ]


def test_splits_that_are_read_as_classes_are_told(tmp_path):
    make(tmp_path, "train/a/1.png", "test/b/2.png", "extra/c/3.png")
    (note,) = read_folders(tmp_path, "dataset.root").notes
    assert note == (
        "test and train are read as classes, as extra stands beside them; if they are splits, "
        "move it elsewhere"
    )
