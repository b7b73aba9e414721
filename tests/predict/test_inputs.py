"""How rows of the user's become support sets and queries, where the order and the number
of rows matter.
"""

import json

import numpy as np
import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.data.values import objects
from mmml.errors import UserError
from mmml.predict.inputs import Queries, Reading, Support, as_batch, whole_support
from tests.conftest import scores_of
from tests.data.making import draw, write_csv

MATRIX = Reading(features="f.npy")


def numbered(root, rows):
    """A table whose row i has the features [i, 1]."""
    write_csv(root / "metadata.csv", rows)
    np.save(
        root / "f.npy", np.stack([np.arange(len(rows)), np.ones(len(rows))], 1).astype(np.float32)
    )
    return str(root)


def test_rows_are_sorted_by_class_and_keep_what_belongs_to_them(tmp_path):
    labels = ["b", "a", "c", "b", "a", "b"]
    rows = [{"id": f"s{i}", "label": label, "score": i / 2} for i, label in enumerate(labels)]
    samples = Support(numbered(tmp_path, rows), MATRIX, one_way=False).samples(
        ["features", "score"]
    )
    assert samples.classes == ["b", "a", "c"] and samples.starts.tolist() == [0, 3, 5, 6]
    assert samples.columns["features"].values[np.arange(6)][:, 0].tolist() == [0, 3, 5, 1, 4, 2]
    assert samples.ids.to_pylist() == ["s0", "s3", "s5", "s1", "s4", "s2"]
    assert scores_of(samples).tolist() == [0, 1.5, 2.5, 0.5, 2, 1]


def test_a_class_whose_rows_are_all_left_out_moves_no_other(tmp_path):
    rows = [{"id": f"s{i}", "label": label} for i, label in enumerate(["b", "a", "c", "b"])]
    root = numbered(tmp_path, rows)
    matrix = np.load(tmp_path / "f.npy")
    matrix[1] = np.nan
    np.save(tmp_path / "f.npy", matrix)
    with pytest.raises(UserError, match="row 2 of"):
        Support(root, MATRIX, one_way=False).samples(["features"])
    samples = Support(root, Reading(features="f.npy", skip=True), one_way=False).samples(
        ["features"]
    )
    assert samples.classes == ["b", "c"] and samples.starts.tolist() == [0, 2, 3]
    assert samples.columns["features"].values[np.arange(3)][:, 0].tolist() == [0, 3, 2]


def test_what_is_the_same_for_a_class_of_several_stands_on_one_side(tmp_path):
    def comparable(rows):
        write_csv(tmp_path / "t.csv", rows)
        return Support(str(tmp_path / "t.csv"), Reading(), one_way=False).comparable

    names = [{"label": label, "text": f"a {label}"} for label in "xyz"]
    assert comparable(names) == {"text"} and comparable(names * 2) == set()
    assert comparable([*names, {"label": "x", "text": "another x"}]) == {"text"}
    gap = [
        {"label": label, "text": t, "source_text": f"{i}"}
        for i, (label, t) in enumerate([("x", "x"), ("y", "")])
    ]
    assert comparable(gap) == {"source_text"}


def test_a_class_shows_the_first_of_its_names_once():
    names = Column.of_texts([["one", "ein"], ["two"], ["three", "drei", "trois"]])
    pixels = Column(torch.arange(12.0).view(6, 2), encoded=True)
    samples = Samples(["1", "2", "3"], np.array([0, 3, 4, 6]), {"text": names, "features": pixels})
    support = whole_support(samples, ["text", "features"])
    assert support.values["text"].tolist() == ["one", "two", "three"]
    assert support.ragged_labels["text"].tolist() == [[0, 1, 2]]
    assert (
        support.ragged_labels["features"].tolist()
        == [[0, 0, 0, 1, 2, 2]]
        == support.labels.tolist()
    )
    assert support.values["features"].shape == (1, 1, 6, 2) and support.shapes["text"] == (1, 1, 3)


def test_queries_come_in_order_without_those_that_cannot_be_read(tmp_path):
    root = numbered(tmp_path, [{"id": f"q{i}"} for i in range(5)])
    matrix = np.load(tmp_path / "f.npy")
    matrix[2] = np.inf
    np.save(tmp_path / "f.npy", matrix)
    chunks = list(Queries(root, MATRIX).chunks(["features"], 2))
    assert [c.rows.tolist() for c in chunks] == [[0, 1], [2, 3], [4]]
    assert [c.examples.values["features"][:, 0].tolist() for c in chunks] == [[0, 1], [3], [4]]
    assert [list(c.problems) for c in chunks] == [[], [2], []]
    assert [c.examples.shapes["features"] for c in chunks] == [(1, 1, 2), (1, 1, 1), (1, 1, 1)]


def test_the_files_of_one_row_share_its_features(tmp_path):
    names = [["0.png", "1.png", "2.png"], ["3.png"], ["4.png", "5.png"]]
    for name in (n for several in names for n in several):
        draw(tmp_path / name, seed=int(name[0]))
    lines = [json.dumps({"image_file_names": several}) for several in names]
    (tmp_path / "metadata.jsonl").write_text("\n".join(lines))
    np.save(tmp_path / "f.npy", np.arange(6, dtype=np.float32).reshape(3, 2))
    (chunk,) = Queries(str(tmp_path), MATRIX).chunks(["features"], 10)
    assert chunk.examples.values["features"][:, 0].tolist() == [0, 0, 0, 2, 4, 4]


def test_values_of_one_shape_are_a_tensor_and_others_are_not():
    same = as_batch([np.zeros((2, 3)), np.ones((2, 3))])
    other = as_batch([torch.zeros(2), torch.zeros(3)])
    assert (
        same.shape == (2, 2, 3)
        and [len(v) for v in other] == [2, 3]
        and isinstance(other, np.ndarray)
    )
    assert as_batch(["a", "bb"]).tolist() == objects(["a", "bb"]).tolist()
