import json
import math
import os
import stat

import numpy as np
import pytest
import torch

from mmml.errors import UserError
from mmml.files import as_json, claim, is_device, keep_aside, write_atomically, write_json, write_npy, write_text
from mmml.run_directory import RunDirectory, runs_below
from mmml.threads import one_thread

STRANGE = {"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": {"d": (math.nan, "x", None, True, 3)}}
PLAIN = {"a": None, "b": [None, None, 1.5], "c": {"d": [None, "x", None, True, 3]}}


def strict(text):
    """Read as others do, who know no NaN."""

    def refuse(token):
        raise ValueError(token)

    return json.loads(text, parse_constant=refuse)


def test_json_has_null_in_place_of_what_is_no_number(tmp_path):
    assert strict(as_json(STRANGE)) == PLAIN
    write_json(tmp_path / "a.json", STRANGE)
    assert strict((tmp_path / "a.json").read_text()) == PLAIN


def test_so_have_lines_of_metrics_when_they_are_written_and_when_they_are_kept(tmp_path):
    run = RunDirectory(tmp_path)
    run.append_metrics({"step": 1, "split": "val", "val/mean": math.nan})
    run.append_metrics({"step": 2, "split": "val", "val/mean": math.inf})
    assert [strict(line)["val/mean"] for line in run.metrics.read_text().splitlines()] == [None, None]
    run.keep_metrics(1)
    assert [strict(line) for line in run.metrics.read_text().splitlines()] == [
        {"step": 1, "split": "val", "val/mean": None}
    ]


@pytest.mark.parametrize("value", [0.0, -1, "NaN", [], {}])
def test_what_can_be_said_in_json_is_left_as_it_is(value):
    assert strict(as_json(value)) == value


def test_what_was_there_stays_where_writing_fails(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    with pytest.raises(RuntimeError):
        write_atomically(tmp_path / "a.txt", lambda file: file.write(b"half") and (_ for _ in ()).throw(RuntimeError))
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("a.txt", "old")]


def test_every_earlier_file_is_kept(tmp_path):
    for text in ("first", "second", "third"):
        keep_aside(tmp_path / "result.json")
        write_text(tmp_path / "result.json", text)
    write_text(tmp_path / "result.txt", "another")
    kept = {p.name: p.read_text() for p in tmp_path.glob("*.json")}
    assert kept == {"result.1.json": "first", "result.2.json": "second", "result.json": "third"}


def test_parts_of_a_matrix_are_one_file(tmp_path):
    parts = [np.arange(6.0).reshape(2, 3), np.arange(6.0, 15.0).reshape(3, 3).astype(np.float32)]
    write_atomically(tmp_path / "a.npy", lambda file: write_npy(file, 5, parts))
    found = np.load(tmp_path / "a.npy")
    assert found.dtype == np.float32 and np.array_equal(found, np.arange(15.0).reshape(5, 3))


def test_jobs_of_a_sweep_are_in_the_order_of_their_numbers(tmp_path):
    for name in ("10", "2", "0", "1", "eval", "multirun.yaml"):
        (tmp_path / name).mkdir()
    (tmp_path / "3").write_text("no folder")
    assert [p.name for p in runs_below(tmp_path)] == ["0", "1", "2", "10"]


def test_what_a_step_measured_is_kept_with_it(tmp_path):
    run = RunDirectory(tmp_path)
    for step, split in ((1, "train"), (2, "train"), (2, "val"), (3, "train")):
        run.append_metrics({"step": step, "split": split})
    run.keep_metrics(2)
    run.append_metrics({"step": 3, "split": "again"})
    assert [(m["step"], m["split"]) for m in run.read_metrics()] == [
        (1, "train"),
        (2, "train"),
        (2, "val"),
        (3, "again"),
    ]


def test_as_many_threads_compute_as_before_whatever_happens():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(KeyError), one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_device_is_written_to_and_not_replaced(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "told")
    assert os.read(reader, 9) == b"told" and pipe.is_fifo() and is_device(pipe)
    os.close(reader)
    keep_aside(pipe)
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_what_a_link_leads_to_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "a.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("there/a.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink() and (tmp_path / "there" / "a.txt").read_text() == "new"


def test_kept_copies_stay_when_some_are_deleted(tmp_path):
    for content in "abc":
        keep_aside(tmp_path / "p.csv")
        (tmp_path / "p.csv").write_text(content)
    (tmp_path / "p.1.csv").unlink()
    for content in "de":
        keep_aside(tmp_path / "p.csv")
        (tmp_path / "p.csv").write_text(content)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "p.1.csv": "c",
        "p.2.csv": "b",
        "p.3.csv": "d",
        "p.csv": "e",
    }


def test_a_folder_is_claimed_once(tmp_path):
    names = [claim(tmp_path / "a" / "run").name for _ in range(3)]
    assert names == ["run", "run-2", "run-3"]
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        claim(tmp_path / "file" / "run")


def test_folders_that_cannot_be_flushed_are_no_obstacle(tmp_path, monkeypatch):
    flush = os.fsync

    def fsync(number):
        if stat.S_ISDIR(os.fstat(number).st_mode):
            raise OSError(22, "Invalid argument")
        flush(number)

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "a.txt", "x")
    assert (tmp_path / "a.txt").read_text() == "x"
