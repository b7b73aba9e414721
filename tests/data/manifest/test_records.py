import datetime
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mmml.data.manifest import records
from mmml.data.manifest.records import read_jsonl, read_parquet
from mmml.errors import UserError


def jsonl(tmp_path, *lines):
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return read_jsonl(path)


def parquet(tmp_path, **columns):
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    return read_parquet(tmp_path / "t.parquet")


def test_values_of_json_are_read_as_they_are_written(tmp_path):
    written = [
        '"2021-01-01T00:30:00"',
        '"007"',
        "12345678901234567890123",
        "1.50",
        "1e5",
        "true",
        '{"a": "ä"}',
    ]
    found = (
        jsonl(tmp_path, *(f'{{"label": {value}}}' for value in written)).table["label"].to_pylist()
    )
    assert found == [
        "2021-01-01T00:30:00",
        "007",
        "12345678901234567890123",
        "1.50",
        "1e5",
        "true",
        '{"a": "ä"}',
    ]


@pytest.mark.parametrize("missing", ["NaN", "null", '""', "[]"])
def test_what_is_missing_in_json(tmp_path, missing):
    found = jsonl(tmp_path, f'{{"label": {missing}, "text": "x"}}', "", '{"label": "a"}')
    assert found.table.to_pydict() == {"label": [None, "a"], "text": ["x", None]}


def test_lists_stay_lists_even_if_they_come_late(tmp_path, monkeypatch):
    monkeypatch.setattr(records.portions, "__defaults__", (2,))
    lines = ['{"t": "a"}', '{"t": null}', '{"t": "b"}', '{"t": ["c", 1]}', '{"u": "d"}']
    found = jsonl(tmp_path, *lines).table.to_pydict()
    assert found == {
        "t": [["a"], None, ["b"], ["c", "1"], None],
        "u": [None, None, None, None, "d"],
    }


def test_a_key_that_stands_twice_in_a_line_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"line 2 is no JSON \(key 'label' appears twice\)"):
        jsonl(tmp_path, '{"label": "a"}', '{"label": "a", "label": "b"}')


def test_half_a_character_is_a_problem_of_its_row(tmp_path):
    found = jsonl(tmp_path, '{"text": "a"}', '{"text": "\\ud83d", "label": "b"}')
    assert found.table.to_pydict() == {"text": ["a", None], "label": [None, "b"]}
    assert found.problems == {1: "it holds half of a character (a lone surrogate)"}
    found = jsonl(tmp_path, '{"text": "a", "\\ud83d": 1}')
    assert found.table.to_pydict() == {"text": ["a"]} and list(found.problems) == [0]


def test_numbers_within_values_of_json_stay_as_they_are_written(tmp_path):
    written = ['{"a": 1.50, "b": [1E5, "2", null]}', "[[1, 2.0], [-0]]"]
    found = (
        jsonl(tmp_path, *(f'{{"text": {value}}}' for value in written)).table["text"].to_pylist()
    )
    assert found == [[written[0]], ["[1, 2.0]", "[-0]"]]


def test_values_of_parquet_are_read_as_they_are_written(tmp_path):
    day = datetime.date(2021, 3, 4)
    found = parquet(
        tmp_path,
        number=pa.array([2**62 + 1, None], pa.int64()),
        real=[0.1, float("nan")],
        day=[day, None],
        flag=[True, None],
        name=pa.array(["x", ""]).dictionary_encode(),
        texts=[["a", "b"], []],
        blob=pa.array([b"text", None]),
        nested=[{"a": 1}, None],
    ).table.to_pydict()
    assert {name: column[0] for name, column in found.items()} == {
        "number": str(2**62 + 1),
        "real": "0.1",
        "day": "2021-03-04",
        "flag": "true",
        "name": "x",
        "texts": ["a", "b"],
        "blob": "text",
        "nested": '{"a": 1}',
    }
    assert all(column[1] is None for column in found.values())


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([[{"a": 1}], None], [['{"a": 1}'], None]),
        ([[[0.5, 1.0]], []], [["[0.5, 1.0]"], None]),
        ([[0.5, float("nan")], [None]], [["0.5", ""], [""]]),
        (pa.array([[("a", 1)], None], pa.map_(pa.string(), pa.int64())), [['["a", 1]'], None]),
        (pa.array([["x", "y"], None], pa.list_(pa.string(), 2)), [["x", "y"], None]),
    ],
)
def test_a_column_of_any_type_is_in_nobody_s_way(tmp_path, values, said):
    found = parquet(tmp_path, boxes=values, label=["a", "b"])
    assert found.table.to_pydict() == {"boxes": said, "label": ["a", "b"]} and found.notes == []


@pytest.mark.parametrize(
    "picture",
    [b"\x89PNG\xff", {"bytes": b"\x89PNG\xff", "path": "a.png"}, [{"bytes": b"\x89PNG\xff"}]],
)
def test_pictures_within_parquet_are_named_with_the_mend(tmp_path, picture):
    found = parquet(tmp_path, image=[picture], label=["a"])
    assert found.table.column_names == ["label"]
    assert (
        "column 'image' holds the bytes of files, which are not read: save each as a file"
        in found.notes[0]
    )


def test_the_three_kinds_of_table_say_the_same(tmp_path):
    from mmml.data.manifest.delimited import read_csv

    rows = [{"id": "1", "label": "a", "text": "x, y"}, {"id": "2", "label": "b", "text": None}]
    (tmp_path / "t.csv").write_text('id,label,text\n1,a,"x, y"\n2,b,\n')
    expected = read_csv(tmp_path / "t.csv").table.to_pylist()
    assert expected == rows
    assert jsonl(tmp_path, *map(json.dumps, rows)).table.to_pylist() == rows
    assert parquet(tmp_path, **{n: [r[n] for r in rows] for n in rows[0]}).table.to_pylist() == rows


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (pa.array([90], pa.duration("s")), "0:01:30"),
        ([[datetime.timedelta(seconds=90)]], ["0:01:30"]),
        (pa.array([b"0123456789abcdef"], pa.uuid()), "30313233-3435-3637-3839-616263646566"),
        ([{"a": datetime.date(2021, 3, 4)}], '{"a": "2021-03-04"}'),
    ],
)
def test_spans_of_time_and_uuids_are_no_bare_numbers_or_bytes(tmp_path, values, said):
    assert parquet(tmp_path, id=values).table["id"].to_pylist() == [said]


@pytest.mark.parametrize("unit", ["ns", "us"])
def test_times_that_python_cannot_hold_are_in_nobody_s_way(tmp_path, unit):
    made = pa.array([{"at": 2**62 + 1}], pa.struct([("at", pa.timestamp(unit))]))
    found = parquet(tmp_path, made=made, label=["a"])
    assert found.table.to_pydict() == {"label": ["a"]}
    assert found.notes[0].startswith(
        f"column 'made' of type struct<at: timestamp[{unit}]> cannot be read, and is left"
    )
