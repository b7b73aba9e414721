import golden
import pytest

from tests.conftest import command

SHARED, RUNS = golden.read_runs()
KEPT = {run.name: run for run in RUNS if run.kept}


def execute(name, words, folder):
    done = command(name.removeprefix("mmml-"), *words, cwd=folder, OMP_NUM_THREADS="1")
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("name", KEPT)
def test_numbers_are_what_they_were(name, tmp_path):
    wanted = golden.read_kept(name)
    found = golden.kept(golden.play(execute, KEPT[name], SHARED, golden.Names(), tmp_path))
    # Processors differ.
    assert golden.differences(wanted, found, tolerance=1e-3, floor=1.0)[0] == []


def test_kept_runs_need_no_real_data_and_have_their_numbers():
    assert len(KEPT) >= 12 and not any(run.real for run in KEPT.values())
    assert {path.name.removesuffix(".json.gz") for path in golden.KEPT.iterdir()} == set(KEPT)


def test_rows_are_compared_by_what_they_are_about():
    rows = [
        {"mapping": "a:b", "shots": 1, "mean": 0.5, "candidates": None},
        {"mapping": "a:a", "shots": 1, "mean": 0.75},
    ]
    found = dict(
        golden.flat("panel", {"seconds": 3, "rows": rows, "status": "completed"}, golden.Names())
    )
    assert found == {
        "panel rows[mapping=a:b,shots=1] mean": 0.5,
        "panel rows[mapping=a:b,shots=1] candidates": None,
        "panel rows[mapping=a:a,shots=1] mean": 0.75,
        "panel status": "completed",
    }
    again = dict(golden.flat("panel", {"rows": rows[::-1], "status": "completed"}, golden.Names()))
    assert golden.differences(found, again, 0.0) == ([], 0.0)


@pytest.mark.parametrize(
    ("base", "head", "lines"),
    [
        ({"a": 1.0}, {"a": 1.0 + 1e-7}, []),
        ({"a": 1.0}, {"a": 1.0 + 2e-6}, ["1.0 → 1.000002: a"]),
        ({"a": 1e-9}, {"a": 2e-9}, ["1e-09 → 2e-09: a"]),
        ({"a": None}, {"a": 0.0}, ["None → 0.0: a"]),
        ({"a": "cat"}, {"a": "dog"}, ["cat → dog: a"]),
        ({"a": "0.5000"}, {"a": "0.5000"}, []),
        ({"a": "0.5000"}, {"a": "0.5001"}, ["0.5 → 0.5001: a"]),
        ({"a": 1, "b": 2}, {"a": 1, "c": 2}, ["only before: b", "only now: c"]),
    ],
)
def test_differences(base, head, lines):
    assert golden.differences(base, head, 1e-6)[0] == lines


def test_what_was_called_otherwise_is_read_in_names_of_today():
    names = golden.Names(
        {"method/classifier=": "method.rule="},
        {"by": "predictor", "old": ""},
        {"no step": "no adaptation"},
    )
    assert names.command("mmml-train method/classifier=ridge") == "mmml-train method.rule=ridge"
    assert names.result({"by": "metric, no step", "old": 3}) == {
        "predictor": "metric, no adaptation"
    }
