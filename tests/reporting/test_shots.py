from mmml.reporting.shots import shot_curves
from tests.reporting.test_report import CELL, RANKED

BASELINE = {"predictor": "raw/nearest", "role": "untrained"}
LINE = [CELL | {"shots": shots, "ways": 1, "mean": 0.1 * shots} for shots in (1, 5, 20)]


def test_three_numbers_of_shots_make_a_curve_for_each_predictor():
    drawn = shot_curves(
        [RANKED, *LINE, *(c | BASELINE for c in LINE), *(c | {"metric": "F1"} for c in LINE)]
    )
    for row in (
        "metric/prototype",
        "raw/nearest",
        "1-way",
        "shots",
        ">1<",
        ">5<",
        ">20<",
        "accuracy, %",
    ):
        assert row in drawn
    assert "F1" not in drawn and drawn.count("1-way") == 1


def test_a_cell_that_diverged_is_left_out_and_few_shots_make_no_curve():
    assert shot_curves([]) == shot_curves([RANKED]) == shot_curves(LINE[:2]) == ""
    assert shot_curves([*LINE[:2], LINE[2] | {"mean": None}]) == ""


def test_long_titles_of_several_plots_are_broken():
    long = {
        "support": ["audio_features", "video_features"],
        "query": ["audio_features", "video_features"],
    }
    panel = [c | other for other in ({}, {"ways": 2}, long) for c in LINE]
    drawn = shot_curves(panel)
    assert "video_features:<" in drawn and "video_features:audio" not in drawn
