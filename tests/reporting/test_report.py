import copy
import json
import re
import shutil

import pytest
from rich.console import Console

from mmml.errors import UserError
from mmml.reporting import result_tables, write_report
from mmml.reporting.figures import learning_curves, smooth
from mmml.reporting.rows import headlines, value

CELL = {
    "evaluator": "few_shot",
    "unit": "episodes",
    "higher_is_better": True,
    "split": "test",
    "task": "classification",
    "predictor": "metric/prototype",
    "role": "learned",
    "percent": True,
    "support": ["text"],
    "query": ["image"],
    "ways": 20,
    "shots": 1,
    "n": 1000,
    "transductive": False,
    "metric": "accuracy",
    "mean": 0.98765,
    "ci95": 0.00121,
}
RANKED = CELL | {"evaluator": "gallery", "unit": "galleries", "task": "gallery", "candidates": 323}
RANKED |= {"metric": "R@1", "mean": 0.415, "ci95": 0.02}


def test_cells_show_intervals_rounded_up():
    assert value(CELL) == "98.8 ± 0.2"
    assert value(CELL | {"predictor": "chance", "n": 0, "mean": 0.05, "ci95": 0.0}) == "5.0"
    assert value(CELL | {"mean": 1.0, "ci95": 0.0}) == "100.0 ± 0.0"
    assert (
        value(RANKED | {"metric": "median rank", "percent": False, "mean": 3.25, "ci95": None})
        == "3.2"
    )
    assert value(None) == ""


def test_headlines_are_the_hardest_learned_cells():
    easy, raw = CELL | {"ways": 5}, CELL | {"predictor": "ours", "role": "untrained", "ways": 50}
    assert headlines(
        [easy, CELL, CELL | {"shots": 5}, raw, RANKED, RANKED | {"metric": "R@5"}]
    ) == [CELL, RANKED]


def text_of(panel, width=80):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        for table in result_tables(panel):
            console.print(table)
    return console.export_text()


def test_tables_say_what_is_transductive_and_which_way_a_search_goes():
    text = text_of([CELL, CELL | {"predictor": "maml", "transductive": True}, RANKED])
    assert "maml (transductive)" in text
    assert "text:image" in text and "image → text" in text
    assert "among all 323" in " ".join(text.split())


def test_the_panel_fits_eighty_columns(finished):
    panel = json.loads((finished / "result.json").read_text())["results"]
    assert "…" not in text_of(panel)


@pytest.fixture
def run(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run <b>&")


def test_the_page_is_self_contained_and_escaped(run):
    page = write_report(run).read_text()
    outside = [
        u
        for u in re.findall(r"""(?:src|href|url\()=?["']?([^"' )>]+)""", page)
        if not u.startswith(("data:", "#"))
    ]
    assert not outside
    assert "run &lt;b&gt;&amp;" in page and "<b>&<" not in page
    assert page.count('class="card pair"') > 3
    assert "How to reproduce" in page and "experiment=smoke" in page


def test_it_is_made_from_files_alone(run):
    before = write_report(run).read_text()
    for extra in ("checkpoints", ".hydra"):
        shutil.rmtree(run / extra)
    assert write_report(run).read_text() == before


def test_a_run_that_failed_has_a_page_too(tmp_path):
    result = {
        "schema": 2,
        "status": "failed",
        "steps": 3,
        "seconds": 1.0,
        "overrides": [],
        "best": None,
        "results": [],
        "differences": [],
        "verdicts": [],
        "notes": [],
        "error": {"type": "TrainingError", "message": "the loss is nan", "traceback": ""},
    }
    (tmp_path / "result.json").write_text(json.dumps(result))
    assert "the loss is nan" in write_report(tmp_path).read_text()


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(UserError, match="is no run directory"):
        write_report(tmp_path)


def test_curves_follow_the_theme_of_the_page():
    train = [{"step": s, "split": "train", "loss": 1 / s} for s in (1, 2, 3)]
    val = [{"step": 3, "split": "val", "val/mean": 0.5, "val/image:image/5-way 1-shot": 0.5}]
    svg = learning_curves(train + val, 3, "accuracy", True)
    assert "currentColor" in svg and "image:image" in svg
    assert learning_curves([], None, "accuracy", True) == ""
    assert svg == learning_curves(copy.deepcopy(train + val), 3, "accuracy", True)


def test_smoothing_starts_without_bias():
    assert smooth([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
