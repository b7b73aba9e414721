import csv
import json

import numpy as np
import pytest
from rich.console import Console

from mmml.reporting import difference_tables, write_report
from mmml.reporting.differences import difference_pivots
from mmml.reporting.rows import as_csv, difference, verdict
from tests.reporting.test_report import CELL

CLEAR = {
    "evaluator": "few_shot",
    "unit": "episodes",
    "role": "learned",
    "split": "test",
    "task": "classification",
    "predictor": "metric/prototype",
    "minus": "raw/nearest",
    "support": ["text"],
    "query": ["image"],
    "ways": 20,
    "shots": 1,
    "n": 1000,
    "metric": "accuracy",
    "percent": True,
    "higher_is_better": True,
    "mean": 0.0123,
    "ci95": 0.0031,
    "clear": True,
}
OPEN = CLEAR | {"shots": 5, "mean": -0.0123, "ci95": 0.0301, "clear": False}
ERROR = CLEAR | {
    "metric": "MAE",
    "percent": False,
    "higher_is_better": False,
    "mean": -0.25,
    "ci95": 0.1,
}
NAMES = [f"metric/prototype ({n}-22-31-glyphs-metric)" for n in (13, 14, 15)]
RESULT = {
    "schema": 2,
    "status": "completed",
    "steps": 3,
    "seconds": 1.0,
    "overrides": [],
    "best": None,
    "error": None,
}
RESULT |= {"results": [], "differences": [], "verdicts": [], "notes": []}


def panel_of(*names, **changes):
    return [CELL | {"predictor": name} | changes for name in names]


PANEL = panel_of("metric/prototype", "raw/nearest")


def text_of(differences, panel, width=80):
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with console.file:
        for table in difference_tables(differences, panel):
            console.print(table)
    return console.export_text()


@pytest.mark.parametrize(
    ("changes", "shown", "said"),
    [
        ({}, "+1.2 ± 0.4", "better"),
        ({"mean": -0.0123}, "−1.2 ± 0.4", "worse"),
        ({"mean": -0.0001, "clear": False}, "0.0 ± 0.4", ""),
        ({"mean": 0.0004, "ci95": 0.0003}, "+0.04 ± 0.03", "better"),
        ({"mean": -0.25, "percent": False, "higher_is_better": False}, "−0.250 ± 0.004", "better"),
        ({"mean": 0.25, "percent": False, "higher_is_better": False}, "+0.250 ± 0.004", "worse"),
        ({"mean": -0.00539, "ci95": 0.00511}, "−0.54 ± 0.52", "worse"),
        ({"mean": -0.00539, "ci95": 0.00541, "clear": False}, "−0.5 ± 0.6", ""),
        ({"mean": 0.0100, "ci95": 0.0099996}, "+1.00000 ± 0.99996", "better"),
        ({"mean": 0.0345, "ci95": 0.0341, "percent": False}, "+0.0345 ± 0.0341", "better"),
        (
            {"mean": -1.5, "ci95": 0.0123, "percent": False, "higher_is_better": False, "step": 9},
            "−1.50 ± 0.02",
            "better",
        ),
    ],
)
def test_a_difference_has_a_sign_and_a_verdict(changes, shown, said):
    assert (difference(CLEAR | changes), verdict(CLEAR | changes)) == (shown, said)


@pytest.mark.parametrize("percent", [True, False])
def test_what_is_printed_is_clear_of_zero_just_where_the_difference_is(percent):
    rng = np.random.default_rng(0)
    for _ in range(2000):
        mean, ratio = rng.normal() * 10.0 ** rng.integers(-4, 0), 1 + rng.normal() / 10
        ci95 = abs(mean) * abs(ratio)
        clear = abs(mean) > ci95
        printed, interval = difference(
            CLEAR | {"mean": mean, "ci95": ci95, "clear": clear, "percent": percent}
        ).split(" ± ")
        assert (abs(float(printed.replace("−", "-"))) > float(interval)) == clear


def test_nothing_is_shown_of_no_difference():
    assert (difference(None), verdict(None)) == ("", "")


def test_rows_say_what_is_taken_from_what():
    (table,) = difference_pivots([CLEAR, OPEN], PANEL)
    assert (table.second, table.columns) == ("metric/prototype", ["20-way 1-shot", "20-way 5-shot"])
    assert [(r.mapping, r.predictor, r.cells) for r in table.rows] == [
        ("text:image", "− raw/nearest", [CLEAR, OPEN])
    ]
    assert "above 0 the first is better" in table.title and "1000 paired episodes" in table.title


def test_pairs_of_several_are_named_in_full():
    pairs = [CLEAR | {"predictor": a, "minus": b} for a, b in ("xy", "xz", "yz")]
    (table,) = difference_pivots(pairs, panel_of(*"xyz"))
    assert [r.predictor for r in table.rows] == [
        "x − y",
        "x − z",
        "y − z",
    ] and table.second == "a − b"


def test_each_row_shows_its_own_mapping_and_pair():
    sides = ({}, {"support": ["image"]})
    pairs = [
        CLEAR | side | {"predictor": a, "minus": b, "mean": n + m / 10}
        for n, side in enumerate(sides)
        for m, (a, b) in enumerate(("xy", "xz"))
    ]
    (table,) = difference_pivots(pairs, panel_of(*"xyz"))
    cells = [(r.mapping, r.predictor, [c["mean"] for c in r.cells]) for r in table.rows]
    assert cells == [
        ("text:image", "− y", [0.0]),
        ("text:image", "− z", [0.1]),
        ("image:image", "− y", [1.0]),
        ("image:image", "− z", [1.1]),
    ]


def test_metrics_stand_apart_and_an_error_is_better_below_zero():
    tables = difference_pivots([CLEAR, ERROR], PANEL)
    assert [t.title.partition("in ")[2].partition(" ±")[0] for t in tables] == ["accuracy %", "MAE"]
    assert (
        "above 0 the first is better" in tables[0].title
        and "below 0 the first is better" in tables[1].title
    )


def test_what_is_transductive_is_marked():
    (table,) = difference_pivots([CLEAR], [CELL | {"transductive": True}, *PANEL[1:]])
    assert table.second == "metric/prototype (transductive)"


def test_the_terminal_marks_what_is_clear():
    text = text_of([CLEAR, OPEN], PANEL)
    assert "*+1.2 ± 0.4" in text and " −1.2 ± 3.1" in text and "*−1.2" not in text


def test_the_terminal_shows_the_differences_to_the_first_in_eighty_columns():
    pairs = [(0, 1), (0, 2), (1, 2)]
    shapes = [(ways, shots) for ways in (5, 20) for shots in (1, 5)]
    many = [
        CLEAR
        | {
            "predictor": NAMES[a],
            "minus": NAMES[b],
            "ways": w,
            "shots": s,
            "mean": -0.111 * (a + b),
        }
        for a, b in pairs
        for w, s in shapes
    ]
    text = text_of(many, panel_of(*NAMES))
    assert "…" not in text and max(map(len, text.splitlines())) <= 80
    assert text.count("−11.1 ± 0.4") == 4 and text.count("−22.2 ± 0.4") == 4 and "−33.3" not in text
    lines = [line.strip() for line in text.splitlines()]
    # No name is cut within a word.
    assert "(14-22-31-glyphs-metric)" in lines and "text:image" in lines


def test_brackets_in_a_name_are_shown():
    pair = CLEAR | {"predictor": "m ([b])", "minus": "m ([i])"}
    text = text_of([pair], panel_of("m ([b])", "m ([i])"))
    assert "m ([b])" in text and "− m ([i])" in text


def test_no_differences_make_no_tables():
    assert text_of([], PANEL) == "" and difference_pivots([], PANEL) == []


def test_csv_holds_every_pair_as_numbers():
    rows = list(csv.DictReader(as_csv([CLEAR, OPEN]).splitlines()))
    assert [float(r["mean"]) for r in rows] == [0.0123, -0.0123]
    assert rows[1] | {"ci95": 0} == {
        "evaluator": "few_shot",
        "unit": "episodes",
        "role": "learned",
        "split": "test",
        "task": "classification",
        "support": "text",
        "query": "image",
        "ways": "20",
        "shots": "5",
        "metric": "accuracy",
        "percent": "True",
        "higher_is_better": "True",
        "predictor": "metric/prototype",
        "minus": "raw/nearest",
        "mean": "-0.0123",
        "ci95": 0,
        "clear": "False",
        "n": "1000",
    }


def page(folder, **values):
    (folder / "result.json").write_text(json.dumps(RESULT | values))
    return write_report(folder).read_text()


def test_the_page_sets_clear_differences_off(tmp_path):
    text = page(
        tmp_path, results=PANEL, differences=[CLEAR, OPEN, CLEAR | {"ways": 5, "mean": -0.05}]
    )
    assert '<td class="better">+1.2 ± 0.4</td>' in text
    assert '<td class="open">−1.2 ± 3.1</td>' in text
    assert '<td class="worse">−5.0 ± 0.4</td>' in text
    assert "played the same episodes" in text and "its 95 % interval" in text


def test_columns_stand_in_the_order_of_the_panel():
    panel = [c | {"shots": n} for n in (1, 5) for c in PANEL]
    (pivot,) = difference_pivots(
        [OPEN | {"minus": "metric/prototype, permuted targets"}, CLEAR], panel
    )
    assert pivot.columns == ["20-way 1-shot", "20-way 5-shot"]
