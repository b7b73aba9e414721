"""``mmml-predict``: what it writes, and what it says of mistakes."""

import csv

import numpy as np
import pytest

from mmml.cli import _predict
from mmml.errors import UserError
from tests.datasets.making import draw, pictures, write_csv
from tests.predict.making import features

MATRIX = "predict.features=f.npy"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    features(tmp_path / "s", [0, 1, 2] * 5, seed=0)
    features(tmp_path / "q", [2, 1, 0, 1], seed=1, labelled=False)


def table(path="predictions.csv") -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:  # noqa: PTH123
        return list(csv.DictReader(file))


def test_a_line_for_each_query_in_order(capsys):
    assert _predict(["support=s", "query=q", MATRIX]) == 0
    rows = table()
    assert [r["id"] for r in rows] == ["q0", "q1", "q2", "q3"]
    assert [r["prediction"] for r in rows] == ["c2", "c1", "c0", "c1"]
    assert list(rows[0]) == ["id", "prediction", "probability", "nearest_1", "nearest_2", "nearest_3", "problem"]
    assert all(0.34 < float(r["probability"]) <= 1 and r["nearest_3"].startswith("s") for r in rows)
    told = capsys.readouterr().out
    assert "features:features, metric/prototype" in told and "predictions: predictions.csv" in told


def test_labels_of_queries_tell_how_many_are_right(tmp_path, capsys):
    features(tmp_path / "q", [2, 1, 0, 1], seed=1)
    assert _predict(["support=s", "query=q", MATRIX]) == 0
    assert "right: 100.0% of the 4 queries with a known label" in capsys.readouterr().out


def test_an_earlier_file_is_kept_and_folders_are_made(tmp_path):
    for _ in range(2):
        assert _predict(["support=s", "query=q", MATRIX, "predict.output=deep/er [1]/p=q.csv"]) == 0
    assert table("deep/er [1]/p=q.csv") == table("deep/er [1]/p=q.1.csv")


def test_what_is_rejected_and_what_cannot_be_read_is_said(tmp_path):
    features(tmp_path / "q", [0, 7], seed=1)
    matrix = np.load(tmp_path / "q" / "f.npy")
    matrix[0] = np.nan
    np.save(tmp_path / "q" / "f.npy", matrix)
    assert _predict(["support=s", "query=q", MATRIX, "predict.reject=0.99", "predict.nearest=1"]) == 0
    unread, unknown = table()
    assert "not finite" in unread["problem"] and unread["prediction"] == unread["probability"] == ""
    assert unknown["prediction"] == "none of these" and unknown["problem"] == ""


def test_samples_without_labels_are_ranked(tmp_path):
    for root in ("gallery", "wanted"):
        pictures(tmp_path / root, classes=3, each=1)
    write_csv(tmp_path / "gallery" / "metadata.csv", [{"image_file_name": f"c{c}/0.png"} for c in range(3)])
    write_csv(tmp_path / "wanted" / "metadata.csv", [{"image_file_name": f"c{c}/0.png"} for c in (2, 0)])
    assert _predict(["support=gallery", "query=wanted"]) == 0
    assert [r["nearest_1"] for r in table()] == ["c2/0.png", "c0/0.png"]
    assert all(len({r["nearest_1"], r["nearest_2"], r["nearest_3"]}) == 3 for r in table())


def test_columns_by_other_names(tmp_path):
    rows = [{"photo": r["image_file_name"], "species": r["label"]} for r in pictures(tmp_path / "zoo", 2, 2)]
    write_csv(tmp_path / "zoo" / "metadata.csv", rows)
    names = "predict.columns={image: photo, label: species}"
    assert _predict(["support=zoo", "query=zoo", names]) == 0
    assert {r["prediction"] for r in table()} == {"class 0", "class 1"}


WRONG = {
    "no support": (["query=q"], "support= needs a folder or manifest of labelled examples"),
    "no query": (["support=s"], "query= needs a folder or manifest of what is to be labelled"),
    "stray word": (["s", "query=q"], "s cannot be read: write support=s"),
    "missing folder": (["support=none", "query=q"], "support=none: there is no such file or folder"),
    "missing query": (["support=s", "query=none", MATRIX], "query=none: there is no such file or folder"),
    "missing matrix": (
        ["support=s", "query=q", "predict.features=g.npy"],
        "predict.features=g.npy|g.npy: there is no such file",
    ),
    "unknown option": (["support=s", "query=q", "predict.nearst=1"], "did you mean"),
    "wrong type": (["support=s", "query=q", "predict.nearest=many"], "predict.nearest"),
    "out of range": (
        ["support=s", "query=q", MATRIX, "predict.reject=1.5"],
        "predict.reject=1.5 must be between 0 and 1",
    ),
    "no run": (["checkpoint=s", "support=s", "query=q", MATRIX], "checkpoint=s is no run"),
    "unknown rule": (["support=s", "query=q", MATRIX, "method.rule=rigde"], "did you mean 'ridge'"),
    "unknown encoder": (["support=s", "query=q", MATRIX, "encoder=rwa"], "encoder=rwa: there is no such choice"),
    "untrained encoder": (["support=s", "query=q", MATRIX, "encoder=small"], "has parameters that nobody has trained"),
    "mapping": (
        ["support=s", "query=q", MATRIX, "predict.mapping=image:image"],
        "predict.mapping=image:image: the support",
    ),
    "no mapping": (["support=s", "query=q", MATRIX, "predict.mapping=image"], "'image' is no mapping"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_sentence(name):
    arguments, message = WRONG[name]
    with pytest.raises(UserError, match=message) as error:
        _predict(arguments)
    assert "\n" not in str(error.value)


def test_nothing_in_common(tmp_path):
    draw(tmp_path / "images" / "c" / "a.png", 0)
    (tmp_path / "a.json").write_text("[[[0, 0], [1, 1]]]")
    write_csv(tmp_path / "ink.csv", [{"strokes_file_name": "a.json"}])
    with pytest.raises(UserError, match="support and query share no modality"):
        _predict(["support=images", "query=ink.csv"])


def test_a_support_set_of_one_class(tmp_path):
    features(tmp_path / "s", [0, 0, 0], seed=0)
    assert _predict(["support=s", "query=q", MATRIX]) == 0
    assert {(r["prediction"], r["probability"]) for r in table()} == {("c0", "1.0000")}
