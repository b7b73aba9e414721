import csv
import json

import pytest

from mmml.reporting.sweep import is_sweep, summarise
from tests.reporting.test_report import CELL, RANKED


def write(folder, number, overrides, value, mean=0.8, status="completed", error=None):
    run = folder / str(number)
    run.mkdir(parents=True)
    panel = [CELL | {"mean": mean}, RANKED] if status == "completed" else []
    best = {"monitor": "val/mean", "value": value, "step": 4} if value is not None else None
    result = {
        "schema": 2,
        "status": status,
        "steps": 4,
        "seconds": 9.5,
        "overrides": overrides,
        "error": error,
    }
    (run / "result.json").write_text(json.dumps(result | {"best": best, "results": panel}))
    (run / "run.json").write_text("{}")


@pytest.fixture
def sweep(tmp_path):
    write(tmp_path, 0, ["seed=0", "method/loss=infonce"], 0.70, mean=0.95)
    write(tmp_path, 1, ["seed=1", "method/loss=infonce"], 0.80, mean=0.93)
    write(tmp_path, 2, ["seed=0", "method/loss=contrastive"], 0.90, mean=0.50)
    write(
        tmp_path,
        10,
        ["seed=1", "method/loss=broken"],
        None,
        status="failed",
        error={"message": "no\nsuch loss"},
    )
    (tmp_path / "11" / ".hydra").mkdir(parents=True)
    (tmp_path / "11" / ".hydra" / "overrides.yaml").write_text("- seed=9\n")
    return tmp_path


def test_validation_ranks_and_nothing_is_hidden(sweep):
    summary = summarise(sweep)
    assert (summary.runs, summary.failed) == (5, 2)
    rows = list(csv.DictReader((sweep / "summary.csv").read_text().splitlines()))
    # 2 is best on validation, worst on test.
    assert [r["run"] for r in rows] == ["2", "1", "0", "10", "11"]
    assert [r["status"] for r in rows[3:]] == ["failed", "no result.json was written"]
    assert rows[3]["error"] == "no such loss" and rows[4]["overrides"] == "seed=9"
    assert float(rows[0]["text:image 20-way 1-shot ci95"]) == pytest.approx(0.00121)
    assert float(rows[0]["seconds"]) == 9.5


def test_a_second_metric_does_not_take_the_place_of_the_first(tmp_path):
    write(tmp_path, 0, ["seed=0"], 0.5, mean=0.25)
    result = json.loads((tmp_path / "0" / "result.json").read_text())
    result["results"].insert(1, CELL | {"metric": "log loss", "percent": False, "mean": 1.5})
    (tmp_path / "0" / "result.json").write_text(json.dumps(result))
    summarise(tmp_path)
    (row,) = csv.DictReader((tmp_path / "summary.csv").read_text().splitlines())
    assert (
        float(row["text:image 20-way 1-shot"]) == 0.25
        and float(row["text:image 20-way 1-shot log loss"]) == 1.5
    )
    assert "| 25.0 ±" in (tmp_path / "summary.md").read_text()


def test_runs_that_were_interrupted_come_after_those_that_completed(tmp_path):
    for number, (value, status) in enumerate(
        [(0.5, "completed"), (0.9, "interrupted"), (0.7, "completed")]
    ):
        write(tmp_path, number, ["method/loss=infonce", f"seed={number}"], value, status=status)
    summary = summarise(tmp_path)
    rows = list(csv.DictReader((tmp_path / "summary.csv").read_text().splitlines()))
    assert [r["run"] for r in rows] == ["2", "0", "1"] and summary.failed == 1
    text = (tmp_path / "summary.md").read_text()
    assert "2 of 3 runs completed" in text and "0.6000 (0.1414)" in text.split("## Over seeds")[1]


def test_the_scores_are_those_of_the_learned_row(tmp_path):
    write(tmp_path, 0, ["seed=0"], 0.5, mean=0.25)
    result = json.loads((tmp_path / "0" / "result.json").read_text())
    others = {"predictor": "frozen/ridge", "role": "untrained", "mean": 0.75}
    alone = CELL | others | {"ways": 7, "predictor": "chance"}
    result["results"] = [
        CELL | others,
        alone,
        *result["results"],
        CELL | others | {"predictor": "raw/nearest"},
    ]
    (tmp_path / "0" / "result.json").write_text(json.dumps(result))
    summarise(tmp_path)
    (row,) = csv.DictReader((tmp_path / "summary.csv").read_text().splitlines())
    name = "text:image 20-way 1-shot"
    assert {n: row[n] for n in row if "-way" in n} == {name: "0.25", f"{name} ci95": "0.00121"}
    assert "75.0" not in (tmp_path / "summary.md").read_text()


def test_what_most_runs_share_is_shown_where_one_does_not(tmp_path):
    for number, more in enumerate((["trainer.lr=1"], ["trainer.lr=1"], [])):
        write(tmp_path, number, ["trainer.steps=9", f"seed={number}", *more], 0.7)
    short = summarise(tmp_path).short
    assert short.count("trainer.lr=1") == 2 and "trainer.steps" not in short


def test_errors_are_ranked_the_smaller_the_better(tmp_path):
    for number, value in enumerate((1.5, 0.9, 1.2)):
        write(tmp_path, number, [f"seed={number}"], value)
        result = json.loads((tmp_path / str(number) / "result.json").read_text())
        result["best"]["higher_is_better"] = False
        result["results"] = [
            CELL | {"metric": "MAE", "percent": False, "mean": value / 2, "ci95": 0.01}
        ]
        (tmp_path / str(number) / "result.json").write_text(json.dumps(result))
    summarise(tmp_path)
    rows = list(csv.DictReader((tmp_path / "summary.csv").read_text().splitlines()))
    assert [r["run"] for r in rows] == ["1", "2", "0"]
    assert "0.600 (0.150)" in (tmp_path / "summary.md").read_text()


def test_seeds_are_grouped_with_their_own_spread(sweep):
    summarise(sweep)
    text = (sweep / "summary.md").read_text()
    (group,) = [
        line
        for line in text.split("## Over seeds")[1].splitlines()
        if "method/loss=infonce" in line
    ]
    assert "| 2 " in group and "0.7500 (0.0707)" in group and "94.0 (1.4)" in group
    assert "contrastive" not in text.split("## Over seeds")[1]  # one seed has no spread
    assert "run 10: failed, no such loss" in text and "run 11: no result.json was written" in text


def test_the_terminal_shows_what_differs(tmp_path):
    write(tmp_path, 0, ["trainer.steps=9", "seed=0"], 0.7)
    write(tmp_path, 1, ["trainer.steps=9", "seed=1"], 0.8)
    short = summarise(tmp_path).short
    assert (
        "trainer.steps" not in short
        and "seed=1" in short
        and max(map(len, short.splitlines())) < 80
    )
    assert "All runs: `trainer.steps=9`" in (tmp_path / "summary.md").read_text()


def test_only_numbered_runs_make_a_sweep(sweep, tmp_path):
    assert is_sweep(sweep)
    assert not is_sweep(sweep / "0") and not is_sweep(tmp_path / "nowhere")
