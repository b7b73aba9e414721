"""What the figures draw: the numbers of their lines."""

import csv

import numpy as np
import pytest

from mmml.reporting.figures import _draw_problems, _draw_validation, drawing, smooth
from mmml.reporting.robustness import area_rows, area_table, line_of, quoted, robustness_curves
from mmml.reporting.rows import as_csv
from mmml.reporting.shots import _draw, shot_curves
from tests.reporting.test_report import CELL
from tests.reporting.test_shots import LINE

POINT = CELL | {
    "evaluator": "robustness",
    "corruption": "noise",
    "modality": "image",
    "amount": 0.5,
}
AREA = {k: v for k, v in POINT.items() if k != "amount"}


def lines_of(draw, *arguments):
    """The x and the y of the lines that are drawn, without those of the legend."""
    with drawing() as figure:
        axes = figure.subplots()
        draw(axes, *arguments)
        drawn = [line for line in axes.lines if len(line.get_xdata())]
        return [(list(line.get_xdata()), np.array(line.get_ydata(), float)) for line in drawn]


def test_smoothing_remembers_nine_tenths():
    assert smooth([1.0, 0.0, 0.0]) == pytest.approx([1, 0.9 / 1.9, 0.81 / 2.71])
    assert smooth([0.0, 1.0], memory=0.5) == pytest.approx([0, 1 / 1.5])


def test_validation_is_drawn_at_its_steps_and_in_percent():
    metrics = [
        {"step": s, "val/mean": 9, "val/a:b/5-way": s / 10, "val/a:b/2-way": None} for s in (2, 4)
    ]
    (first, y), (_, diverged) = lines_of(_draw_validation, metrics, 100)
    assert first == [2, 4] and y.tolist() == pytest.approx([20, 40]) and np.isnan(diverged).all()


def test_losses_that_a_log_axis_cannot_show_are_left_out():
    metrics = [
        {"step": s, "val/mean": v, "val/median": 1.0}
        for s, v in ((1, 2.0), (2, None), (3, 0.0), (4, 0.5))
    ]
    mean, median = lines_of(_draw_problems, metrics)
    assert (mean[0], mean[1].tolist()) == ([1, 4], [2.0, 0.5]) and median[0] == [1, 2, 3, 4]


def test_shots_are_drawn_in_percent_with_the_interval_around_them():
    line = [
        CELL | {"shots": 1, "mean": 0.5, "ci95": 0.1},
        CELL | {"shots": 5, "mean": 0.75, "ci95": None},
    ]
    means, lower, upper = lines_of(_draw, "ours", line, 0)
    assert means[0] == [1, 5] and means[1].tolist() == [50, 75]
    assert (lower[1].tolist(), upper[1].tolist()) == (
        pytest.approx([40, 75]),
        pytest.approx([60, 75]),
    )


def test_other_metrics_and_other_tasks_are_no_points_of_a_curve():
    others = [
        c | other
        for c in LINE
        for other in ({"metric": "F1", "mean": 0.9}, {"task": "summary", "mean": 0.8})
    ]
    assert shot_curves([*LINE, *others]) == shot_curves(LINE) != ""


def test_robustness_is_that_of_the_episodes_that_a_learner_is_quoted_by():
    shapes = [{"ways": ways, "shots": shots} for ways in (5, 20) for shots in (1, 5)]
    points = [p | shape for p in (POINT, AREA) for shape in shapes]
    assert (
        quoted(points) == [p | {"ways": 20, "shots": 1} for p in (POINT, AREA)] and quoted([]) == []
    )


def test_areas_are_those_of_each_mapping_and_corruption():
    def area(mapping, corruption, mean, modality="image"):
        support, query = mapping.split(":")
        return AREA | {
            "support": [support],
            "query": [query],
            "corruption": corruption,
            "modality": modality,
            "mean": mean,
        }

    areas = [area("a:b", "noise", 0.1), area("a:b", "missing", 0.2), area("c:d", "noise", 0.3)]
    areas += [area("c:d", "mean", 0.5, "mean")]
    titles, rows = area_rows([POINT, *areas])
    assert titles == ["image: noise", "image: missing", "mean"]
    assert rows == [
        ("a:b", ["10.0 ± 0.2", "20.0 ± 0.2", ""]),
        ("c:d", ["30.0 ± 0.2", "", "50.0 ± 0.2"]),
    ]
    (table,) = area_table([POINT, *areas])
    assert len(table.rows) == 2 and area_table([POINT]) == []


def test_lines_are_named_after_predictors_where_there_are_several():
    other = POINT | {"predictor": "raw/nearest"}
    assert line_of(POINT, [POINT]) == "text:image"
    assert line_of(other, [POINT, other]) == "raw/nearest, text:image"


def test_a_curve_shows_percentages_and_leaves_out_what_diverged():
    points = [POINT | {"amount": a, "mean": m} for a, m in ((0.0, 0.9), (0.5, 0.5), (1.0, None))]
    drawn = robustness_curves([*points, AREA])
    assert "image: noise" in drawn and "accuracy, %" in drawn and ">90<" in drawn
    assert robustness_curves(points[:2]) == drawn and robustness_curves([AREA]) == ""


def test_the_csv_has_every_point_and_no_amount_of_an_area():
    rows = list(csv.DictReader(as_csv([POINT, AREA]).splitlines()))
    assert [(r["amount"], r["mean"], r["modality"]) for r in rows] == [
        ("0.5", "0.98765", "image"),
        ("", "0.98765", "image"),
    ]
