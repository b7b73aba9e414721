import json
import unicodedata

import pytest

from mmml.data.manifest import read_rows
from mmml.errors import UserError
from tests.data.making import draw


def rows(tmp_path, content, option="dataset.root", **columns):
    path = tmp_path / "t.csv"
    path.write_text(content)
    return read_rows(str(path), option, columns)


def records(tmp_path, *objects):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(o) + "\n" for o in objects))
    return read_rows(str(path), "dataset.root", {})


LOOK_ALIKE = [
    ("café", unicodedata.normalize("NFD", "café")),
    ("New York", "New\u00a0York"),
    ("plain", "plain\u200b"),
]

FURTHER = [
    ("soft", "so\u00adft"),
    ("\u2764", "\u2764\ufe0f"),
    ("to right", "\u200eto right"),
    ("a b", "a\u3000b"),
]


@pytest.mark.parametrize("column", ["label", "group", "domain"])
@pytest.mark.parametrize(
    ("one", "other"), [*LOOK_ALIKE, ("trimmed", " trimmed "), ("mark", "\ufeffmark"), *FURTHER]
)
def test_keys_that_look_alike_are_one(tmp_path, column, one, other):
    found = rows(tmp_path, f'{column},text\n{one},a\n"{other}",b\nthird,c\n')
    assert found.column(column).to_pylist() == [one, one, "third"]
    assert found.notes == [
        (
            f"1 {column} is written in several ways that look alike, such as {one!r}; "
            "each counts as one"
        )
    ]


def test_texts_and_joiners_within_labels_stay_as_written(tmp_path):
    composed = "\U0001f469\u200d\U0001f52c"
    found = rows(tmp_path, f"label,text\n{composed},{LOOK_ALIKE[0][1]}\n")
    assert found.column("label").to_pylist() == [composed] and found.notes == []
    assert found.column("text").to_pylist() == [LOOK_ALIKE[0][1]]


def test_names_of_columns_in_capitals(tmp_path):
    found = rows(tmp_path, "Label,TEXT,Colour\na,b,c\n")
    assert found.column("label").to_pylist() == ["a"] and found.column("text").to_pylist() == ["b"]
    assert found.ignored == ["Colour"]
    found = rows(tmp_path, "label,Label,text\na,A,b\n")
    assert found.column("label").to_pylist() == ["a"] and found.ignored == ["Label"]


@pytest.mark.parametrize(
    ("suffix", "modality"), [(".png", "image"), (".opus", "audio"), (".mp4", "video")]
)
def test_file_name_is_of_the_modality_of_its_files(tmp_path, suffix, modality):
    found = rows(tmp_path, f"file_name,label\n1{suffix},a\n2{suffix.upper()},b\n")
    assert (
        found.column(modality).to_pylist() == [f"1{suffix}", f"2{suffix.upper()}"]
        and found.ignored == []
    )


def test_two_columns_of_one_meaning_are_refused(tmp_path):
    with pytest.raises(
        UserError, match=r"two columns for image; say which it is by dataset\.columns\.image="
    ):
        rows(tmp_path, "file_name,image_file_name\n1.png,2.png\n")


def test_several_captions_are_several_rows(tmp_path):
    found = records(
        tmp_path,
        {"image_file_name": "a.png", "text": ["one; two", "three"]},
        {"image_file_name": "b.png", "text": "x"},
    )
    assert found.column("text").to_pylist() == ["one; two", "three", "x"]
    assert found.column("image").to_pylist() == ["a.png", "a.png", "b.png"]
    assert found.origin.tolist() == [0, 0, 1] and not found.has("group") and found.problems == {}


def test_one_caption_goes_with_each_of_several_files(tmp_path):
    found = records(
        tmp_path, {"image_file_names": ["a.png", "b.png"], "text": ["one"], "label": ["c"]}
    )
    assert found.column("text").to_pylist() == ["one", "one"] and found.column(
        "label"
    ).to_pylist() == ["c", "c"]
    assert found.column("group").to_pylist() == ["0", "0"]


def test_several_labels_of_a_row_are_a_problem(tmp_path):
    found = records(tmp_path, {"text": "x", "label": ["a", "b"]}, {"text": "y", "label": ["a"]})
    assert found.problems == {
        0: "it lists several labels, scores, splits, groups or domains, but a row has only one"
    }


def test_blanks_around_the_name_of_a_file(tmp_path):
    draw(tmp_path / " a.png", 0)
    draw(tmp_path / "b.png", 0)
    found = rows(tmp_path, "image_file_name,label\n a.png,x\n b.png,y\nb.png ,z\n")
    assert found.column("image").to_pylist() == [" a.png", "b.png", "b.png"]


def test_decimal_commas_between_semicolons(tmp_path):
    assert rows(tmp_path, "text;score\na;0,5\nb;-1,25\nc;2\n").column("score").to_pylist() == [
        0.5,
        -1.25,
        2.0,
    ]
    assert rows(tmp_path, 'text,score\na,"0,5"\nb,1\n').problems == {0: "its score is no number"}


def test_ids_and_texts_stay_as_they_are_written(tmp_path):
    found = rows(tmp_path, 'id,label,text\n 1,a," two words "\n1,a,"line\n"\n2 ,b,\u2028x\n')
    assert found.column("id").to_pylist() == [" 1", "1", "2 "] and found.problems == {}
    assert found.column("text").to_pylist() == [" two words ", "line\n", "\u2028x"]


@pytest.mark.parametrize("blank", ["  ", "\t", "\u00a0"])
def test_a_cell_of_blanks_says_nothing(tmp_path, blank):
    found = rows(tmp_path, f"id,label,text\n1,a,{blank}\n2,b,x\n")
    assert found.column("text").to_pylist() == [None, "x"]
    found = rows(tmp_path, f"id,label,text\n{blank},{blank},x\n{blank},{blank},y\n")
    assert not found.has("label") and found.column("id").to_pylist() == ["x", "y"]


def test_scores_between_blanks_are_numbers(tmp_path):
    assert rows(tmp_path, "text,score\na, 0.5\nb,2 \n").column("score").to_pylist() == [0.5, 2.0]


def test_names_of_columns_between_blanks(tmp_path):
    found = records(tmp_path, {" Label ": "a", "text\t": "b"})
    assert found.column("label").to_pylist() == ["a"] and found.column("text").to_pylist() == ["b"]
    assert found.ignored == []


def test_no_name_of_a_file_is_too_long_to_ask_for(tmp_path):
    draw(tmp_path / " a.png", 0)
    long = "x" * 300 + ".png "
    found = rows(tmp_path, f"image_file_name,label\n a.png,x\n{long},y\n")
    assert found.column("image").to_pylist() == [" a.png", long.strip()]


def test_only_rows_with_several_files_have_numbers_behind_their_ids(tmp_path):
    found = records(
        tmp_path,
        {"text": ["x", "y"], "id": " 1"},
        {"text": "z", "id": "2"},
        {"text": ["v"], "id": " "},
    )
    assert found.column("id").to_pylist() == [" 1#0", " 1#1", "2", None]
    assert found.problems == {3: "it has no id"}


@pytest.mark.parametrize("word", ["nan", "None", "NA", "<NA>"])
def test_a_label_that_may_mean_that_there_is_none_is_told(tmp_path, word):
    found = records(tmp_path, {"text": "a", "label": word}, {"text": "b", "label": "nano"})
    assert found.column("label").to_pylist() == [word, "nano"]
    message = (
        f"{word!r} is read as a label like any other; leave the cell empty (or null) "
        "where there is none"
    )
    assert found.notes == [message]


def test_vectors_that_are_not_read_are_told(tmp_path):
    message = (
        "vectors are read from a column called features of a Parquet file, or from a matrix "
        "beside the table"
    )
    found = records(
        tmp_path, {"text": "a", "embedding": [0.5, -1e-3]}, {"text": "b", "embedding": None}
    )
    assert found.notes == [f"column 'embedding' holds vectors; {message}"]
    with pytest.raises(UserError, match=f"has no column with a modality, .*; {message}"):
        records(tmp_path, {"label": "a", "features": [1, 2]})
    with pytest.raises(
        UserError,
        match=f"features=features: .* has vectors there, and not names of files; {message}",
    ):
        read_rows(str(tmp_path / "t.jsonl"), "dataset.root", {"features": "features"})
