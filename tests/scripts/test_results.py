import re
from pathlib import Path

import pytest
from reproductions import REPRODUCTIONS
from results import (
    FOLDER,
    PAGE,
    Baseline,
    Figure,
    Published,
    Result,
    load,
    load_all,
    number,
    page,
    rounded,
    save,
    table,
)

ROOT = Path(__file__).parents[2]
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
OVER = {"seeds", "speakers", "episodes", "queries", "problems", "videos", None}
ACCURACY = Figure("a:a", "accuracy", "%", True, 80.0, 2.0, "seeds", 100)


@pytest.mark.parametrize("name", NAMES)
def test_files_have_the_schema(name):
    result = load(FOLDER / f"{name}.json")
    assert result.command == f"python scripts/reproduce.py {name}"
    assert re.fullmatch(r"[0-9a-f]{7}(, [0-9a-f]{7})*", result.commit)
    assert result.date is None or re.fullmatch(r"\d{4}-\d\d-\d\d", result.date)
    assert result.figures and (result.seconds is None or result.seconds > 0)
    for figure in result.figures:
        assert figure.over in OVER and isinstance(figure.value, int | float)
        assert figure.unit in ("%", "nats", "") and (figure.episodes is None or figure.episodes > 0)
        for interval in (figure.interval, *(b.interval for b in figure.baselines)):
            assert interval is None or interval >= 0
        if figure.each:  # which were rounded as they were written down
            assert sum(figure.each.values()) / len(figure.each) == pytest.approx(
                figure.value, rel=0.01, abs=0.06
            )


@pytest.mark.parametrize("name", [name for name in NAMES if name in REPRODUCTIONS])
def test_files_are_of_the_reproduction_of_their_name(name):
    result, wanted = load(FOLDER / f"{name}.json"), REPRODUCTIONS[name]
    assert (result.topic, result.experiment) == (wanted.topic, wanted.experiment)
    assert result.seeds == sorted({cell.seed for cell in wanted.cells.values()})


def test_everything_that_can_be_reproduced_has_figures():
    assert {*REPRODUCTIONS} <= {*NAMES}


def test_tables_are_those_of_the_files():
    """``python scripts/reproduce.py --tables`` makes them."""
    assert PAGE.read_text() == page(PAGE.read_text(), load_all(REPRODUCTIONS), REPRODUCTIONS)


def test_figures_of_the_readme_are_those_of_the_file():
    rows = re.findall(
        r"^\| (.+?) \| (.+?) \| (.+?) \| (.+?) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    shown = {row[1:] for row in rows if "±" in row[1]}
    measured = set()
    for figure in load(FOLDER / "glyphs.json").figures:
        others = {b.name: number(b.value, b.interval) for b in figure.baselines}
        ours = number(figure.value, figure.interval)
        measured.add((ours, others.get("`raw/nearest`", "–"), others.get("`chance`", "–")))
    assert len(shown) >= 5 and shown <= measured


def test_fusions_are_those_that_validation_chose():
    for name in ("robust-glyphs", "robust-emoji", "robust-traits"):
        (figure,) = (
            f for f in load(FOLDER / f"{name}.json").figures if f.what.endswith(", validation")
        )
        assert all(figure.gain(baseline) >= 0 for baseline in figure.baselines)


def test_what_is_written_is_read_back(tmp_path, monkeypatch):
    monkeypatch.setattr("results.FOLDER", tmp_path)
    published = Published(79.0, None, "they")
    figures = [
        Figure("a", "b", "", True, 1.0),
        Figure("a", "b", "%", False, 1.0, each={"0": 1.0}, published=published),
    ]
    figures += [
        Figure(
            "a",
            "b",
            "",
            True,
            1.0,
            baselines=[Baseline("c", 2.0)],
            adaptation_helps=False,
            worse_by=["d"],
        )
    ]
    result = Result("topic", "try", "command", [0], "0123456", None, None, None, figures)
    save("x", result)
    assert load(tmp_path / "x.json") == Result(
        **{**vars(result), "figures": [*map(listed, figures)]}
    )
    (tmp_path / "x.json").write_text(
        (tmp_path / "x.json").read_text().replace('"topic"', '"topics"')
    )
    with pytest.raises(TypeError, match="topics"):
        load(tmp_path / "x.json")


def listed(figure):
    """With lists in place of tuples."""
    return Figure(**{**vars(figure), "baselines": list(figure.baselines)})


def test_the_strongest_baseline_is_shown_with_its_paired_gain():
    weak, strong = Baseline("weak", 10.0), Baseline("strong", 79.0, 1.0, 1.0, 0.5)
    figure = Figure(**{**vars(ACCURACY), "baselines": [weak, strong]})
    assert figure.best_baseline is strong
    error = Figure(
        "a", "error", "%", False, 5.0, baselines=[Baseline("a", 7.0), Baseline("b", 6.0)]
    )
    assert error.best_baseline.name == "b" and error.gain(error.best_baseline) == 1.0
    result = Result("t", "try", "c", [0, 1, 2], "0123456", None, None, None, [figure, ACCURACY])
    first, second = table({"x": result}, ["x"]).splitlines()[2:]
    assert first == (
        "| try | a:a: accuracy, % | 80.0 ± 2.0 | – | strong 79.0 ± 1.0 (+1.0 ± 0.5) | 0–2 "
        "| [`x`](results/x.json) | 0123456 |"
    )
    assert second == "|  | a:a: accuracy, % | 80.0 ± 2.0 | – | – |  |  |  |"
    assert "only 0123456" in table({"x": result}, [])


def test_a_verdict_has_a_column_of_its_own():
    helps = Figure("a", "chrF", "", True, 1.0, adaptation_helps=False)
    result = Result("t", "try", "c", [], "0123456", None, None, None, [helps])
    head, _, row = table({"x": result}, ["x"]).splitlines()
    assert head.endswith("| adaptation helps |") and row.endswith(
        "| – | [`x`](results/x.json) | 0123456 | no |"
    )


def test_a_topic_needs_a_place_in_the_page():
    result = Result("new", "try", "c", [0], "0123456", None, None, None, [ACCURACY])
    assert "80.0 ± 2.0" in page("<!-- table: new -->\nold\n<!-- end -->", {"x": result}, ["x"])
    with pytest.raises(ValueError, match="<!-- table: new -->, which x.json needs"):
        page("<!-- table: old -->\n<!-- end -->", {"x": result}, ["x"])


@pytest.mark.parametrize(
    ("value", "interval", "shown"),
    [
        (2.7, 0.71, "2.70 ± 0.71"),
        (99.82, 0.06, "99.82 ± 0.06"),
        (38.75, 8.1, "38.75 ± 8.1"),
        (0.353, 0.02, "0.353 ± 0.020"),
        (-0.0716, 0.01, "−0.0716 ± 0.010"),
        (9.17e-5, 9.3e-6, "0.0000917 ± 0.0000093"),
        (20, None, "20"),
        (0.0, 0.0, "0.0 ± 0.0"),
        (None, None, "–"),
    ],
)
def test_numbers_are_shown_with_the_digits_of_their_interval(value, interval, shown):
    assert number(value, interval) == shown


def test_numbers_are_kept_to_two_digits_of_their_interval():
    assert rounded(84.1234, 0.4321) == (84.12, 0.43)
    assert str(rounded(1234.5, 56.7)) == "(1234, 57)" and rounded(0.123456, None) == (0.1235, None)
