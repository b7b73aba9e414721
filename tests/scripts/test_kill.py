import os
import sys
from pathlib import Path

import kill
import numpy as np
import pytest

from tests.conftest import PROCESSES


def play(output: Path, count: str) -> None:
    """In a process without threads, which a fork would not take along."""
    os.dup2(os.open(output, os.O_WRONLY | os.O_CREAT), 1)
    sys.exit(kill.main([count]))


def test_six_kills_break_nothing(tmp_path):
    process = PROCESSES.Process(target=play, args=(tmp_path / "notes.txt", "6"))
    process.start()
    process.join(900)
    message = (tmp_path / "notes.txt").read_text().splitlines()
    assert process.exitcode == 0, message
    assert [line.split(":")[0] for line in message] == [
        "train",
        "eval",
        "predict",
        "check",
        "report",
    ]
    assert message[0].startswith("train: 2 kills") and all(
        line.endswith(" 0 broken") for line in message
    )


BROKEN = {
    "a.json": b'{"a": 1',
    "a.jsonl": b'{"a": 1}\n{"a": 2}',
    "a.ckpt": b"PK",
    "a.parquet": b"PAR1",
    "a.npy": b"",
    "a.csv": b"a,b\n1\n",
    "b.csv": b"a,b\n1,2",
    "a.html": b"<html>",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_cut_short_is_found(name):
    with pytest.raises(Exception):  # noqa: B017 (of many kinds)
        kill.content(name, BROKEN[name])


def test_times_are_not_compared():
    assert kill.content("a.jsonl", b'{"step": 1, "seconds": 2.5}\n') == [{"step": 1}]
    assert kill.without_times({"a": [np.float32(1)], "overrides": []}) == {"a": [1]}


@pytest.fixture
def trials(tmp_path):
    """With one old file that is kept under another name, one that is replaced,
    and one that stays.
    """
    trials = kill.Trials.__new__(kill.Trials)
    trials.here, trials.counts, trials.broken = tmp_path, kill.Counter(), []
    trials.old = {"p.csv": b"a\nold\n", "d.html": b"old</html>", "s.json": b"1"}
    trials.new = {
        "p.1.csv": b"a\nold\n",
        "p.csv": b"a\nnew\n",
        "d.html": b"new</html>",
        "s.json": b"1",
    }
    return trials


@pytest.mark.parametrize(
    ("files", "lost"),
    [
        ("old", []),
        ("new", []),
        ({"p.csv": b"a\nnew\n", "d.html": b"new</html>", "s.json": b"1"}, ["p.csv"]),
        ({"p.csv": b"a\nold\n", "s.json": b"2"}, ["d.html", "s.json"]),
    ],
)
def test_what_was_there_must_be_there_or_replaced(trials, files, lost):
    for name, data in (getattr(trials, files) if isinstance(files, str) else files).items():
        (trials.here / name).write_bytes(data)
    (trials.here / ".d.html.1-ab.tmp").write_bytes(b"unfinished")
    trials.look("a kill")
    assert trials.broken == [f"a kill: {name} is lost" for name in lost]


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["x"], 2), (["0"], 2), (["3", "4"], 2)]
)
def test_what_is_no_number_of_kills_gets_the_help(arguments, code, capsys):
    assert kill.main(arguments) == code
    assert "[COUNT]" in capsys.readouterr().out
