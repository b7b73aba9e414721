import errno
import json
import math
import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from mmml.errors import UserError, expected
from mmml.files import (
    append,
    as_json,
    check_target,
    check_working_folder,
    claim,
    expanded,
    is_device,
    keep_aside,
    take_place,
    write_atomically,
    write_json,
    write_npy,
    write_text,
    writing,
)
from mmml.predict.command import write as write_predictions
from mmml.run_directory import RunDirectory, runs_below
from mmml.threads import one_thread

STRANGE = {
    "a": math.nan,
    "b": [math.inf, -math.inf, 1.5],
    "c": {"d": (math.nan, "x", None, True, 3)},
}
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
    assert [strict(line)["val/mean"] for line in run.metrics.read_text().splitlines()] == [
        None,
        None,
    ]
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
        write_atomically(
            tmp_path / "a.txt",
            lambda file: file.write(b"half") and (_ for _ in ()).throw(RuntimeError),
        )
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
    assert (tmp_path / "link.txt").is_symlink() and (
        tmp_path / "there" / "a.txt"
    ).read_text() == "new"


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


DEVICE = Path("/dev/full")
WRITERS = {
    "text": lambda file: file.write(b"x"),
    # Tells of a position that is unexpected.
    "torch": lambda file: torch.save({"a": torch.zeros(100_000)}, file),
    "arrays": lambda file: np.savez(file, a=np.zeros(100_000)),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_full_disk_is_told_with_the_name_of_the_file(write):
    with pytest.raises(OSError, match="No space left on device") as error:
        write_atomically(DEVICE, write)
    assert (error.value.errno, error.value.filename) == (errno.ENOSPC, "/dev/full")
    assert "/dev/full cannot be written (No space left on device): make room" in str(
        expected(error.value)
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_full_disk_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, number):
    def fsync(file):
        raise OSError(number, os.strerror(number))

    write_text(tmp_path / "a.txt", "old")
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="a.txt") as error:
        write_text(tmp_path / "a.txt", "new")
    assert isinstance(expected(error.value), UserError)
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.txt": "old"}


def test_other_errors_are_left_as_they_are():
    missing, nameless = FileNotFoundError(errno.ENOENT, "No such file", "a.txt"), OSError("strange")
    assert expected(missing) is missing and expected(nameless) is nameless
    with pytest.raises(FileNotFoundError) as error, writing(Path("b.txt")):
        raise missing
    assert error.value is missing


def test_what_does_not_fit_is_not_appended_at_all(tmp_path):
    """A limit on the size of files stands for a full disk: of nine bytes, five fit."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    append(tmp_path / "a.txt", b"1 whole\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (13, limits[1]))
    try:
        with pytest.raises(OSError, match=r"a\.txt") as error:
            append(tmp_path / "a.txt", b"2 longer\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.errno == errno.EFBIG
    assert (tmp_path / "a.txt").read_bytes() == b"1 whole\n"


@pytest.mark.parametrize("links", [True, False])
def test_a_name_is_taken_where_it_is_free(tmp_path, monkeypatch, links):
    def refuse(*of):
        raise PermissionError(1, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    for name in ("part", "other"):
        (tmp_path / name).write_text(name)
    assert take_place(tmp_path / "part", tmp_path / "a")
    assert not take_place(tmp_path / "other", tmp_path / "a")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a": "part", "other": "other"}


def test_of_many_that_finish_at_once_none_is_lost(tmp_path):
    def finish(number):
        part = tmp_path / f"{number}.part"
        part.write_text(str(number))
        while not take_place(part, tmp_path / "p.csv"):
            keep_aside(tmp_path / "p.csv")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(finish, range(100)))
    assert sorted(int(p.read_text()) for p in tmp_path.iterdir()) == list(range(100))


def test_what_another_process_has_kept_at_this_very_moment_is_no_obstacle(tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda path: True)  # it was, a moment ago
    keep_aside(tmp_path / "p.csv")
    assert not list(tmp_path.iterdir())


def test_a_working_folder_that_was_removed_is_told(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    check_working_folder()
    (tmp_path / "here").rmdir()
    with pytest.raises(UserError, match="the working folder was removed: change to another"):
        check_working_folder()


def test_a_home_is_meant_as_a_shell_means_it(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert [str(expanded(p)) for p in ("~/a", "~nobody-here/a", "a/~", "~$a.csv")] == [
        "/home/me/a",
        "~nobody-here/a",
        "a/~",
        "~$a.csv",
    ]


def test_a_pipe_is_written_to_under_the_name_that_it_has():
    reader, writer = os.pipe()  # as of a shell's >(…), or of /dev/stdout before |
    check_target(Path(f"/dev/fd/{writer}"), "data.page")
    write_atomically(Path(f"/dev/fd/{writer}"), lambda file: file.write(b"page"))
    write_predictions(Path(f"/dev/fd/{writer}"), [], 1)
    assert os.read(reader, 99) == b"pageid,prediction,probability,neighbor_1,problem\r\n"
    os.close(reader), os.close(writer)


def test_links_in_a_circle_and_folders_are_no_bug(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    write_text(tmp_path / "circle", "no more")
    assert (tmp_path / "circle").read_text() == "no more"
    with pytest.raises(UserError, match=r"data\.page=.* is a folder: name a file"):
        check_target(tmp_path, "data.page")
