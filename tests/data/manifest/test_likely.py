import pytest

from mmml.data.manifest import read_rows
from mmml.errors import UserError

TABLE = "image_file_name,label\nimages/1.png,a\nimages/2.png,b\n"


def make(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def read(root, option="dataset.root", matrix=False):
    return read_rows(str(root), option, {}, matrix)


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (["dataset/cat/1.png", "dataset/dog/1.png"], "dataset"),
        (
            ["dataset/cat/1.png", "dataset/dog/1.png", "__MACOSX/dataset/cat/._1.png", "README.md"],
            "dataset",
        ),
        (["dataset/cat/1.png", "dataset/dog/1.png", "logo.png"], "dataset"),
        (["images/train/cat/1.png", "images/test/dog/1.png"], "images"),
        (["a/b/cat/1.wav", "a/b/dog/1.wav"], "a/b"),
        (["a/cat/deep/1.wav", "a/dog/1.wav"], "a"),
        (["train/cat/1.png", "train/dog/1.png"], None),  # read as a split
        (["dog/1.png", "dog/2.png"], None),
        (["dog/1.png", "dog/more/2.png", "dog/others/3.png"], None),
        (["animals/dog/1.png", "animals/dog/2.png"], None),  # one class, however deep
        (["cat/1.png", "dog/1.png"], None),
    ],
)
def test_one_level_too_high(tmp_path, names, meant):
    rows = read(make(tmp_path, *names))
    if meant is None:
        assert not rows.meant
        return
    place = tmp_path / meant
    assert rows.meant.endswith(f"did you mean dataset.root={place} (mmml-data check {place})?")
    assert not read(place).meant and len(set(read(place).column("label").to_pylist())) > 1


def test_a_table_one_level_below(tmp_path):
    make(tmp_path, "inner/images/1.png", "inner/images/2.png")
    (tmp_path / "inner" / "metadata.csv").write_text("nothing\n1\n")
    assert not read(tmp_path).meant  # it cannot be read
    (tmp_path / "inner" / "metadata.csv").write_text(TABLE)
    assert f"did you mean dataset.root={tmp_path / 'inner'} " in read(tmp_path).meant


@pytest.mark.parametrize(
    "name", ["inner/metadata.csv", "a/inner/metadata.jsonl", "inner/table.csv"]
)
def test_a_table_of_texts_below(tmp_path, name):
    make(tmp_path, name, "other/notes.txt")
    (tmp_path / name).write_text(
        '{"label": "a", "text": "b"}\n' if name.endswith("jsonl") else "label,text\na,b\n"
    )
    place = tmp_path / name if name.endswith("table.csv") else (tmp_path / name).parent
    with pytest.raises(UserError, match=f"did you mean support={place}\\?$"):
        read(tmp_path, "support")
    (tmp_path / name).write_text("nothing\n1\n")
    with pytest.raises(UserError, match="has no metadata.csv") as refused:
        read(tmp_path, "support")
    assert "did you mean" not in str(refused.value)


def test_of_two_tables_below_none_is_named(tmp_path):
    for folder in "ab":
        make(tmp_path, f"{folder}/metadata.csv")
        (tmp_path / folder / "metadata.csv").write_text("label,text\na,b\n")
    with pytest.raises(UserError, match=r"with the suffix \.csv\)$"):
        read(tmp_path)


def test_class_folders_in_several_folders_are_a_note(tmp_path):
    make(
        tmp_path,
        *(f"{top}/{c}/1.png" for top in ("photos", "sketches") for c in ("cat", "dog", "fox")),
    )
    rows = read(tmp_path)
    (note,) = rows.notes
    assert not rows.meant and note.startswith(
        "photos, sketches: folders and no files; if these folders are the classes: "
    )
    assert (
        f"dataset.root={tmp_path / 'photos'} " in note
        and f"dataset.root={tmp_path / 'sketches'} " in note
    )


@pytest.mark.parametrize(
    "names",
    [
        # Speakers and their sessions.
        ["amy/monday/1.wav", "amy/friday/1.wav", "bob/june/1.wav", "bob/july/1.wav"],
        ["amy/monday/1.wav", "amy/friday/1.wav", "bob/1.wav", "cid/1.wav"],
    ],
)
def test_folders_within_classes_are_nothing_to_note(tmp_path, names):
    rows = read(make(tmp_path, *names))
    assert not rows.meant and not rows.notes


def test_class_folders_beside_a_folder_of_files_are_a_note(tmp_path):
    (note,) = read(make(tmp_path, "data/cat/1.png", "data/dog/1.png", "previews/1.png")).notes
    assert note.startswith("data: folders and no files; ")


def test_a_single_class(tmp_path):
    make(tmp_path, "set/cat/1.png", "set/dog/1.png", "set/notes/readme.txt")
    place = tmp_path / "set"
    assert read(place / "cat").meant.endswith(
        f"did you mean dataset.root={place} (mmml-data check {place})?"
    )
    assert read(place / "cat", "support").meant.endswith(f"did you mean support={place}?")
    assert not read(place / "cat", matrix=True).meant  # pairs of files and features need no labels
    assert not read(place / "cat", "query").meant


@pytest.mark.parametrize(
    "others",
    [
        ["five/cat/1.png"],  # a support set beside queries
        ["sounds/1.wav"],
        ["docs/1.txt", "src/1.py"],
        ["b/1.png", "docs/1.txt", "src/1.py", "old/1.py"],  # folders of all kinds
    ],
)
def test_a_folder_of_files_alone(tmp_path, others):
    assert not read(make(tmp_path, "new/1.png", *others) / "new").meant


def test_splits_are_no_classes(tmp_path):
    assert not read(make(tmp_path, "train/1.png", "test/1.png") / "train").meant


def test_the_table_above_names_the_files(tmp_path):
    make(tmp_path, "images/1.png", "images/2.png", "others/3.png")
    (tmp_path / "metadata.csv").write_text(TABLE)
    assert f"did you mean dataset.root={tmp_path} " in read(tmp_path / "images").meant
    assert not read(tmp_path / "others").meant


def test_a_path_is_quoted_for_the_shell(tmp_path):
    make(tmp_path, "my set/cat/1.png", "my set/dog/1.png")
    place = tmp_path / "my set"
    assert (
        f"did you mean 'dataset.root={place}' (mmml-data check '{place}')?" in read(tmp_path).meant
    )


def test_queries_may_lie_anywhere_below(tmp_path):
    rows = read(make(tmp_path, "dataset/cat/1.png", "dataset/dog/1.png"), "query")
    assert not rows.meant and not rows.notes


@pytest.mark.parametrize("matrix", [False, True])
def test_a_table_of_another_name_beside_a_matrix(tmp_path, matrix):
    make(tmp_path, "features.npy")
    (tmp_path / "labels.csv").write_text("id,label\n1,a\n2,b\n")
    message = (
        f"the table labels.csv in {tmp_path} was not read; did you mean "
        f"dataset.root={tmp_path}/labels.csv "
    )
    assert read(tmp_path, matrix=matrix).meant.startswith(message)
    assert not read(tmp_path, "query").meant
