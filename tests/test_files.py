import json
import math

import pytest

from mmml.files import as_json, write_json
from mmml.run_directory import RunDirectory

STRANGE = {"a": math.nan, "b": [math.inf, -math.inf, 1.5], "c": {"d": (math.nan, "x", None, True, 3)}}
PLAIN = {"a": None, "b": [None, None, 1.5], "c": {"d": [None, "x", None, True, 3]}}


def strict(text):
    """Read as others do, who know no NaN."""

    def refuse(token):
        raise ValueError(token)

    return json.loads(text, parse_constant=refuse)


def test_json_has_null_in_place_of_what_is_no_number(tmp_path):
    assert strict(as_json(STRANGE)) == PLAIN
    write_json(tmp_path / "a.json", STRANGE)
    assert strict((tmp_path / "a.json").read_text()) == PLAIN


def test_so_have_lines_of_metrics_when_they_are_written_and_when_they_are_kept(tmp_path):
    run = RunDirectory(tmp_path)
    run.append_metrics({"step": 1, "split": "val", "val/mean": math.nan})
    run.append_metrics({"step": 2, "split": "val", "val/mean": math.inf})
    assert [strict(line)["val/mean"] for line in run.metrics.read_text().splitlines()] == [None, None]
    run.keep_metrics(1)
    assert [strict(line) for line in run.metrics.read_text().splitlines()] == [
        {"step": 1, "split": "val", "val/mean": None}
    ]


@pytest.mark.parametrize("value", [0.0, -1, "NaN", [], {}])
def test_what_can_be_said_in_json_is_left_as_it_is(value):
    assert strict(as_json(value)) == value
