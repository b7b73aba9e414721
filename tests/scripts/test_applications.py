from pathlib import Path

import applications
import pytest

CONF = Path(__file__).parents[2] / "conf" / "experiment"
CELL = {"task": "generation", "support": ["text"], "query": ["text"], "target": "text", "ways": 1, "shots": 5}
CELL |= {"n": 9, "percent": True, "role": "learned"}


def cell(predictor, metric, mean):
    return CELL | {"predictor": predictor, "metric": metric, "mean": mean, "ci95": 0.01, "higher_is_better": True}


def comparison(role, other, metric, mean, ci95):
    told = {"role": role, "other": other, "metric": metric, "mean": mean, "ci95": ci95}
    return told | {"percent": True, "higher_is_better": True}


def result(losses=()):
    verdict = {k: CELL[k] for k in ("task", "support", "query", "target", "ways", "shots")}
    compared = [comparison("no support", "unadapted", "chrF", 0.1, 0.02)]
    compared += [comparison("permuted targets", "permuted", "chrF", 0.05, 0.02)]
    compared += [comparison("constant", "constant", "chrF", 0.04, 0.02)]
    compared += [comparison("untrained", "raw/nearest", "chrF", 0.03, 0.02)]
    verdict |= {
        "predictor": "metric",
        "metric": "chrF",
        "comparisons": compared,
        "losses": list(losses),
        "missing": [],
        "diverged": [],
    }
    verdict["passed"] = not losses
    panel = [cell("metric", "chrF", 0.5), cell("metric", "BLEU", 0.2), cell("raw/nearest", "chrF", 0.47)]
    return {"results": panel, "verdicts": [verdict], "seconds": 60.0}


def test_a_row_has_the_first_metric_and_what_it_is_better_than():
    (row,) = applications.rows(result())
    assert row[1:3] == ["chrF", "50.0 ± 1.0"] and row[-2:] == ["–", "passed"]
    assert row[3:7] == [
        "+10.0 ± 2.0",
        "+5.0 ± 2.0",
        "+4.0 ± 2.0",
        "+3.0 ± 2.0, `raw/nearest`",
    ]


def test_where_another_metric_is_worse_it_is_named_and_the_row_does_not_pass():
    worse = comparison("untrained", "raw/nearest", "BLEU", -0.05, 0.02)
    (row,) = applications.rows(result([worse]))
    assert row[-2:] == ["BLEU −5.0 ± 2.0 (untrained)", "not passed"]


def test_runs_are_asked_for_by_the_first_letters_and_a_whole_name_is_that_run(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(applications, "result_of", lambda name: asked.append(name) or result())
    assert applications.main(["sentiment-ict-mmmo", "captioning-t"]) == 0
    assert asked == ["captioning-topics", "captioning-topics-optimizer", "sentiment-ict-mmmo"]
    assert capsys.readouterr().out.count("| passed |") == 3
    assert applications.main(["sentimental"]) == 2


@pytest.mark.parametrize("name", applications.RUNS)
def test_every_run_is_a_command_that_its_experiment_names(name):
    """The header of the experiment shows each option."""
    experiment = next(o for o in applications.RUNS[name] if o.startswith("experiment="))
    files = [CONF / f"{e}.yaml" for e in experiment[11:].strip("[]").split(",")]
    head = "".join(line for file in files for line in file.read_text().splitlines(True) if line.startswith("#"))
    options = [o for o in applications.RUNS[name] if not o.startswith("encoder.text.model=")]
    assert [o for o in options if o not in head] == []
