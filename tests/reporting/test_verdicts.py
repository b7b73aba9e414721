import json

from rich.console import Console

from mmml.reporting import write_report
from mmml.reporting.verdicts import verdict_items, verdict_table
from tests.reporting.test_difference_tables import RESULT


def compared(role, other, mean, metric="chrF", percent=True):
    about = {"metric": metric, "percent": percent, "higher_is_better": True}
    return about | {"role": role, "other": other, "mean": mean, "ci95": 0.002}


ABOUT = {
    "predictor": "metric/attention",
    "task": "generation",
    "support": ["image"],
    "query": ["image"],
}
PASSED = ABOUT | {
    "target": "text",
    "ways": 1,
    "shots": 100,
    "passed": True,
    "missing": [],
    "diverged": [],
    "losses": [],
    "comparisons": [
        compared("no support", "training-set support", 0.138),
        compared("permuted targets", "permuted targets", 0.051),
        compared("constant", "constant/medoid", 0.041),
        compared("untrained", "raw/nearest", 0.014),
    ],
}
LOST = PASSED | {"passed": False, "losses": [compared("untrained", "raw/nearest", -0.049, "BLEU")]}
OPEN = PASSED | {
    "passed": False,
    "missing": ["untrained"],
    "comparisons": PASSED["comparisons"][:3],
}


def test_the_row_to_beat_is_named_and_what_follows():
    (one,) = verdict_items([PASSED])
    assert one.played == "image:image → text, 1-way 100-shot" and (one.outcome, one.verdict) == (
        "passed",
        "better",
    )
    last = one.against[-1]
    assert (last.outcome, last.than, last.other) == (
        "+1.4 ± 0.2",
        "the best untrained row",
        "raw/nearest",
    )
    assert last.verdict == "better"


def test_what_is_worse_by_another_metric_is_named():
    (one,) = verdict_items([LOST])
    assert one.outcome == "not passed" and (one.against[-1].metric, one.against[-1].outcome) == (
        "BLEU",
        "−4.9 ± 0.2",
    )
    assert one.against[-1].verdict == "worse"


def test_nothing_is_said_where_a_row_is_missing():
    (one,) = verdict_items([OPEN])
    assert one.outcome == "open: there is no row of untrained" and len(one.against) == 3
    assert one.verdict == ""  # neither better nor worse


def test_only_clear_differences_are_marked():
    unclear = compared("constant", "constant/medoid", 0.001)
    (one,) = verdict_items([PASSED | {"passed": False, "comparisons": [unclear]}])
    assert one.against[0].verdict == ""


def test_the_page_and_the_terminal_show_them(tmp_path):
    (tmp_path / "result.json").write_text(
        json.dumps(RESULT | {"results": [], "verdicts": [PASSED, LOST]})
    )
    page = write_report(tmp_path).read_text()
    assert (
        "Does adaptation help?" in page and '<td class="worse">−4.9 ± 0.2</td><td>BLEU</td>' in page
    )
    console = Console(width=80, record=True)
    for table in verdict_table([PASSED, LOST]):
        console.print(table)
    text = console.export_text()
    assert "*+1.4 ± 0.2" in text and "not passed" in text and max(map(len, text.splitlines())) <= 80


def test_no_verdicts_make_no_section(tmp_path):
    (tmp_path / "result.json").write_text(json.dumps(RESULT | {"results": []}))
    assert (
        "Does adaptation help?" not in write_report(tmp_path).read_text()
        and [*verdict_table([])] == []
    )
