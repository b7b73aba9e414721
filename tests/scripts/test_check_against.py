import check_against
import pytest
from comparisons import CHECKS, Check

INSTALLED = ("scikit-learn", "scipy", "sacrebleu", "rouge-score", "torch")


def made(own, tolerance=0.1, package="math"):
    return Check("a sum", "abacus", package, tolerance, lambda: ([1.0, 2.0], own))


def test_mmml_agrees_with_the_libraries_that_it_is_tested_with(capsys):
    assert check_against.main(list(INSTALLED)) == 0
    assert (
        f"{sum(c.library in INSTALLED for c in CHECKS)} checks done, 0 beyond tolerance"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("own", "code"), [([1.0, 2.05], 0), ([1.0, 2.5], 1), ([1.0, float("nan")], 1)]
)
def test_a_difference_beyond_tolerance_or_a_nan_fails(own, code, monkeypatch, capsys):
    monkeypatch.setattr(check_against, "CHECKS", [made([1.0, 2.0]), made(own)])
    assert check_against.main([]) == code
    assert ("more than 1e-01" in capsys.readouterr().out) == bool(code)


def test_libraries_that_are_missing_are_told_and_left_out(monkeypatch, capsys):
    missing = made([9.0, 9.0], package="no_such_package")
    monkeypatch.setattr(check_against, "CHECKS", [missing, made([1.0, 2.0])])
    assert check_against.main([]) == 0
    assert (
        "not installed" in (message := capsys.readouterr().out) and "1 of 2 checks done" in message
    )
    monkeypatch.setattr(check_against, "CHECKS", [missing])
    assert check_against.main([]) == 2


def test_numbers_of_other_shapes_are_no_comparison(monkeypatch):
    monkeypatch.setattr(check_against, "CHECKS", [made([1.0])])
    with pytest.raises(ValueError, match=r"a sum: abacus gives \(2,\), mmml \(1,\)"):
        check_against.main([])


def test_a_library_that_is_none_is_refused(capsys):
    assert check_against.main(["scipi"]) == 2
    assert "scipi is no library to compare with; did you mean 'scipy'?" in capsys.readouterr().err
