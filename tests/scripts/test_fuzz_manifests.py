import fuzz_manifests
import numpy as np
import pyarrow as pa
import pytest
from manifests import reading
from manifests.dialects import Case
from manifests.playing import Outcome

from mmml.data.manifest import ManifestRows, read_rows


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    # As the script sets it for its own process.
    monkeypatch.setenv("MMML_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_thirty_manifests_are_read_as_they_are_written(elsewhere, capsys):
    assert fuzz_manifests.fuzz(range(30), seed=0) == 0, capsys.readouterr().out
    last = capsys.readouterr().out.splitlines()[-1]
    assert (
        last.startswith("30 manifests, seed 0: ")
        and last.endswith("0 findings")
        and " 0 trained" not in last
    )


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("number", [3, 14])
def test_a_manifest_is_a_function_of_seed_and_number(tmp_path, number):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        fuzz_manifests.make(number, seed, tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b") != files(tmp_path / "c")


def found(tmp_path, **cells):
    columns = {m: pa.array(v, pa.large_string()) for m, v in cells.items()}
    return ManifestRows(
        tmp_path / "t.csv", "dataset.root", pa.table(columns), np.arange(len(cells["id"]))
    )


@pytest.mark.parametrize(
    ("written", "read", "message"),
    [
        ({"id": ["007", "8"]}, {"id": ["007", "8"]}, []),
        ({"id": ["007", "8"]}, {"id": ["7", "8"]}, ["id of row 1 was written '007' and read '7'"]),
        ({"label": ["a ", "NaN"]}, {"id": ["1", "2"], "label": ["a", "NaN"]}, []),
        (
            {"text": [" a", "b"]},
            {"id": ["1", "2"], "text": ["a", "b"]},
            ["text of row 1 was written ' a' and read 'a'"],
        ),
        ({"text": ["a", "b"]}, {"id": ["1", "2"]}, ["text of row 1 was written 'a' and read None"]),
        (
            {"text": ["a", "b", "c"]},
            {"id": ["1", "2"]},
            ["3 rows in the file, 2 read, 0 left out ({})"],
        ),
    ],
)
def test_what_was_lost_or_changed_is_told(tmp_path, written, read, message):
    case = Case(tmp_path, "", len(next(iter(written.values()))), written)
    assert [*reading.lost_rows(case, found(tmp_path, **read))] == message


def test_rows_that_are_left_out_count(tmp_path):
    (tmp_path / "t.csv").write_text("id,text\n1,a\n,\n2,b\n")
    rows = read_rows(str(tmp_path / "t.csv"), "dataset.root", {})
    case = Case(tmp_path / "t.csv", "", 3, {"id": ["1", "2"], "text": ["a", "b"]})
    assert [*reading.lost_rows(case, rows)] == []
    rows.left_out = {}
    assert [*reading.lost_rows(case, rows)] == ["3 rows in the file, 2 read, 0 left out ({})"]


def test_findings_are_printed_with_the_command_that_repeats_them(elsewhere, monkeypatch, capsys):
    outcome = Outcome(["read"], ["a sentence of 3 words"], {"a row is lost": None})
    monkeypatch.setattr(
        fuzz_manifests, "one", lambda number, seed, work: (Case(work, "t.csv", 1, {}), outcome)
    )
    assert fuzz_manifests.main(["2", "5"]) == 1
    message = capsys.readouterr().out
    assert "a row is lost\n  python scripts/fuzz_manifests.py 1 5 --only 1\n" in message
    assert message.endswith(
        "2 read, 0 checked, 0 trained, 0 predicted, 2 refused (2 a sentence of … words); "
        "2 findings\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["x"], 2), (["1", "2", "3"], 2), (["--only", "x"], 2)]
)
def test_other_arguments_get_the_help(arguments, code, capsys):
    assert fuzz_manifests.main(arguments) == code and "[COUNT]" in capsys.readouterr().out
