import interval_coverage
import numpy as np
import pytest


def test_shares_have_the_stated_mean_and_more_spread_where_answers_are_alike():
    rng, chances = np.random.default_rng(0), np.array([0.7, 0.2, 0.1])
    alone, alike = (
        interval_coverage.shares(rng, (20_000,), chances, 25, share) for share in (0.0, 0.1)
    )
    for found in (alone, alike):
        assert found.sum(-1) == pytest.approx(1)
        assert found.mean(0) == pytest.approx(chances, abs=0.005)
    assert alone[:, 0].var() == pytest.approx(0.7 * 0.3 / 25, rel=0.05)
    assert alike[:, 0].var() == pytest.approx(0.7 * 0.3 / 25 * (1 + 24 * 0.1), rel=0.05)


def test_confidences_are_too_high_by_the_gap():
    mean, half = interval_coverage.calibration(0.1, 25, 0.0)(np.random.default_rng(0), 2000)
    assert abs(mean - 0.1) < half < 0.02


def test_coverage_counts_the_intervals_that_hold_the_truth():
    fixed = iter([(0.5, 0.1), (0.5, 0.01), (0.7, 0.1), (0.6, None)])
    assert interval_coverage.coverage(lambda rng, n: next(fixed), 0.6, 100, 4) == 0.75


def test_too_narrow_intervals_fail(monkeypatch, capsys):
    monkeypatch.setattr(
        interval_coverage, "tables", lambda repeats: [("accuracy", "0.5", {100: 0.92}, True)]
    )
    assert interval_coverage.main(["7"]) == 1
    assert "accuracy, 7 repeats" in capsys.readouterr().out
    monkeypatch.setattr(
        interval_coverage, "tables", lambda repeats: [("accuracy", "0.5", {100: 0.92}, False)]
    )
    assert interval_coverage.main([]) == 0


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--help"], 0), (["x"], 2), (["0"], 2), (["3", "4"], 2)]
)
def test_what_is_no_number_of_repeats_gets_the_help(arguments, code, capsys):
    assert interval_coverage.main(arguments) == code
    assert "[REPEATS]" in capsys.readouterr().out
