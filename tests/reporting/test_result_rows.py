"""How one cell is told: the digits that are shown, and which cells a learner is quoted by."""

import pytest

from mmml.reporting.rows import (
    digits,
    headlines,
    mapping,
    over_classes,
    predictor,
    prominence,
    validation,
    value,
)
from tests.reporting.test_difference_tables import CLEAR
from tests.reporting.test_report import CELL, RANKED

ERROR = CELL | {"metric": "MAE", "percent": False}


@pytest.mark.parametrize(
    ("mean", "ci95", "shown"),
    [
        (0.5, 0.0101, "0.500 ± 0.011"),
        (0.02, 0.5, "0.020 ± 0.500"),
        (0.02, 5.0, "0.02 ± 5.00"),
        (123.4, 1.2, "123 ± 2"),
        (0.00123, 0.0001, "0.00123 ± 0.00010"),
        (-12.3, 0.1, "-12.3 ± 0.1"),
    ],
)
def test_three_digits_count_of_the_larger_of_a_number_and_its_interval(mean, ci95, shown):
    assert value(ERROR | {"mean": mean, "ci95": ci95}) == shown


def test_an_interval_is_never_rounded_down():
    assert [value(CELL | {"ci95": c}) for c in (0.0011, 0.00201, 0.0029)] == [
        f"98.8 ± 0.{n}" for n in (2, 3, 3)
    ]


def test_what_diverged_has_no_digits():
    diverged = ERROR | {"mean": None, "ci95": None, "ci95_classes": None}
    assert value(diverged) == "diverged" == validation(None) and over_classes(diverged) == ""
    assert validation(0.25) == "0.2500"


def test_the_interval_over_classes_is_its_own():
    assert over_classes(CELL | {"ci95_classes": 0.0101}) == "(± 1.1)"
    assert (
        over_classes(CLEAR | {"mean": 0.0004, "ci95": 0.0003, "ci95_classes": 0.00021})
        == "(± 0.03)"
    )
    assert over_classes(CELL) == over_classes(CELL | {"ci95_classes": None}) == ""
    assert over_classes(CELL | {"ci95_classes": 0.1, "n": 0}) == ""


def test_a_ranking_is_read_from_query_to_gallery_and_an_episode_from_support_to_query():
    sides = {"support": ["text"], "query": ["audio", "image"]}
    assert (mapping(CELL | sides), mapping(RANKED | sides)) == (
        "text:audio+image",
        "audio+image → text",
    )
    assert mapping(CELL | sides | {"target": "text"}) == "text:audio+image → text"


def test_a_learner_is_quoted_by_more_ways_and_fewer_shots_but_of_one_way_by_more_shots():
    shapes = [(20, 1), (20, 5), (5, 1), (1, 20), (1, 5)]
    cells = [CELL | {"ways": w, "shots": s} for w, s in shapes]
    assert sorted(cells, key=prominence, reverse=True) == cells
    assert headlines(cells[::-1]) == cells[:1] and headlines(cells[:2:-1]) == [cells[3]]


def test_of_several_metrics_the_first_is_quoted_and_of_several_tasks_each():
    other, subset = CELL | {"metric": "F1"}, CELL | {"subset": "new words", "ways": 99}
    assert headlines([subset, CELL, other]) == [CELL] and headlines([other, CELL]) == [other]
    others = [CELL | {"query": ["audio"]}, CELL | {"task": "regression"}]
    assert headlines([CELL, *others]) == [CELL, *others]


def test_a_row_says_what_is_transductive_and_which_queries_count():
    marked = CELL | {"predictor": "maml", "transductive": True, "subset": "new words"}
    assert (predictor(marked), predictor(CELL)) == (
        "maml (transductive), new words",
        "metric/prototype",
    )


def test_percentages_have_one_digit_behind_the_point():
    assert digits(CELL | {"mean": 0.00001}) == digits(RANKED) == 1
