import json

from mmml.reporting.html import shade
from mmml.reporting.rows import headlines, name
from mmml.reporting.sweep import read_run
from mmml.reporting.tables import pivots
from tests.reporting.test_report import CELL, RANKED, text_of

GAP = CELL | {"metric": "calibration error", "mean": 0.031, "ci95": 0.002}
FROZEN = {"predictor": "frozen/ridge", "role": "untrained"}
CHANCE = CELL | {"predictor": "chance", "role": "untrained", "n": 0, "mean": 0.05, "ci95": 0.0}
PANEL = [CELL, GAP, RANKED, CELL | FROZEN, GAP | FROZEN, CHANCE]


def test_calibration_has_a_table_of_its_own_after_the_scores():
    tables = pivots(PANEL)
    assert [t.title.split(",")[0] for t in tables] == ["classification", "gallery", "calibration"]
    assert [r.predictor for r in tables[0].rows] == ["metric/prototype", "frozen/ridge", "chance"]
    assert [r.predictor for r in tables[2].rows] == ["metric/prototype", "frozen/ridge"]
    assert tables[0].rows[0].cells == [CELL] and tables[2].rows[0].cells == [GAP]
    assert tables[2].columns == ["20-way 1-shot"]


def test_each_row_shows_its_own_mapping_predictor_and_shape():
    sides = {"text:image": {}, "image:image": {"support": ["image"]}}
    panel = [
        CELL
        | side
        | {"predictor": who, "ways": ways, "mean": (10 * number + 100 * len(who) + ways) / 1000}
        for number, side in enumerate(sides.values())
        for who in ("a", "bcd")
        for ways in (5, 6)
    ]
    (table,) = pivots(panel)
    assert table.columns == ["5-way 1-shot", "6-way 1-shot"]
    cells = [
        (r.mapping, r.predictor, [round(c["mean"] * 1000) for c in r.cells]) for r in table.rows
    ]
    assert cells == [
        ("text:image", "a", [105, 106]),
        ("text:image", "bcd", [305, 306]),
        ("image:image", "a", [115, 116]),
        ("image:image", "bcd", [315, 316]),
    ]


def test_what_was_not_measured_is_empty_and_moves_nothing():
    (table,) = pivots([CELL, CELL | {"shots": 5}, CELL | {"shots": 5} | FROZEN])
    assert [[c and c["shots"] for c in r.cells] for r in table.rows] == [[1, 5], [None, 5]]


def test_a_title_counts_the_episodes_of_what_was_played():
    assert all(
        "1000 episodes" in t.title for t in (*pivots([CELL, CHANCE]), *pivots([CHANCE, CELL]))
    )


def test_it_is_shown_in_percent_and_its_interval():
    text = text_of(PANEL)
    assert (
        "3.1 ± 0.2" in text
        and "98.8 ± 0.2" in text
        and "confidence and accuracy %" in " ".join(text.split())
    )


def test_metrics_of_one_task_do_not_hide_one_another():
    other = CELL | {"metric": "F1", "mean": 0.5}
    assert [t.rows[0].cells for t in pivots([CELL, other])] == [[CELL], [other]]


def test_summaries_of_videos_are_not_taken_for_scores_of_frames():
    score = CELL | {"task": "regression", "metric": "MAE", "ways": 1}
    assert (
        len(
            {name(c) for c in (score, score | {"task": "summary", "metric": "F", "unit": "videos"})}
        )
        == 2
    )


def test_it_is_no_headline_and_no_colour():
    assert headlines([GAP, CELL, GAP | {"ways": 50}]) == [CELL]
    assert shade(GAP | {"mean": 0.9}) == 0 and shade(CELL) > 0


def test_a_sweep_keeps_the_two_apart(tmp_path):

    result = {"schema": 2, "status": "completed", "overrides": [], "results": PANEL}
    (tmp_path / "result.json").write_text(json.dumps(result))
    row = read_run(tmp_path)
    assert row["test"][name(CELL)] == CELL and row["test"][name(GAP)] == GAP
    assert row["headlines"] == [name(CELL), name(RANKED)]


def test_mappings_stand_above_long_names_so_that_eighty_columns_suffice():
    names = ["metric/prototype (13-22-31-glyphs-metric)", "learned_optimizer/adam, rate 1"]
    shapes = [{"ways": ways, "shots": shots} for ways in (5, 20) for shots in (1, 5)]
    lines = text_of(
        [CELL | shape | {"predictor": n} for n in names for shape in shapes]
    ).splitlines()
    assert max(map(len, lines)) <= 80 and "text:image" in [line.strip() for line in lines]
    assert [line.split("  98")[0].strip() for line in lines if "98.8" in line] == [
        "metric/prototype",
        names[1],
    ]
    assert any(
        line.startswith("text:image  ") and "98.8" in line for line in text_of([CELL]).splitlines()
    )
