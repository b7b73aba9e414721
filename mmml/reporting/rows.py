"""Names and formatted values of rows of results, the same in every table."""

import csv
import io
import math
from typing import Any

Row = dict[str, Any]

MORE_PLACES = 6  # at most, so that a rounded interval that excludes 0 still shows it


def mapping(row: Row) -> str:
    """Return ``text:image``; ``image → text`` (query → gallery) for a ranking; the name of the
    family for problems.

    If the target is not a label, it follows: ``image:image → text``.
    """
    support, query = "+".join(row["support"]), "+".join(row["query"])
    if is_problem(row):
        return support
    target = f" → {row['target']}" if row.get("target") else ""
    return f"{query} → {support}" if is_ranking(row) else f"{support}:{query}{target}"


def column(row: Row) -> str:
    """Return ``20-way 1-shot``; ``mean loss, step 100`` for a problem; the metric for a ranking."""
    if is_problem(row):
        return f"{row['metric']}, step {row['step']}"
    return row["metric"] if is_ranking(row) else f"{row['ways']}-way {row['shots']}-shot"


def name(row: Row) -> str:
    """Return a name that is unique among the rows of a predictor: mapping, column, and the metric
    unless it is the usual one.
    """
    extra = (
        f" {row['metric']}"
        if is_calibration(row) or row["unit"] not in ("episodes", "galleries", "problems")
        else ""
    )
    return f"{mapping(row)} {column(row)}{extra}{_subset(row)}"


def predictor(row: Row) -> str:
    """Return the predictor's name, with a mark if it is transductive, and with the subset of
    queries that count.
    """
    return row["predictor"] + (" (transductive)" if row["transductive"] else "") + _subset(row)


def _subset(row: Row) -> str:
    """The subset of queries that count, as a suffix; empty if all count."""
    return f", {row['subset']}" if row.get("subset") else ""


def uncorrupted(rows: list[Row]) -> list[Row]:
    """Return the rows that are measured without corruption."""
    return [row for row in rows if "corruption" not in row]


def is_baseline(row: Row) -> bool:
    """Whether the row's predictor is a baseline or a control, not a learned one."""
    return bool(row["role"] != "learned")


def is_ranking(row: Row) -> bool:
    """Whether all classes are candidates (a gallery)."""
    return row.get("candidates") is not None


def is_problem(row: Row) -> bool:
    """Whether the row is the loss of problems after some steps."""
    return row.get("step") is not None


def is_difference(row: Row) -> bool:
    """Whether the row is a difference of two scores."""
    return "clear" in row


def is_calibration(row: Row) -> bool:
    """Whether the row is a calibration error, which has a table of its own."""
    return row["metric"] == "calibration error"


def value(row: Row | None) -> str:
    """Return ``99.3 ± 0.1``; the mean alone without an interval; an empty text for None. Intervals
    are rounded up.
    """
    if row is None:
        return ""
    if row["mean"] is None:
        return "diverged"
    decimals, number = digits(row), f"{scaled(row):.{digits(row)}f}"
    if row["ci95"] is None or row["n"] == 0:
        return number
    return f"{number} ± {_rounded_up(row, decimals)}"


def validation(score: float | None) -> str:
    """Return a validation score as text; "diverged" for None."""
    return "diverged" if score is None else f"{score:.4f}"


def over_classes(row: Row | None) -> str:
    """Return ``(± 0.9)``, the class interval, which treats the test classes as a sample, too; empty
    if it is unknown.
    """
    if row is None or row.get("ci95_classes") is None or row["mean"] is None or row["n"] == 0:
        return ""
    decimals = decimals_of_difference(row) if is_difference(row) else digits(row)
    return f"(± {_rounded_up(row | {'ci95': row['ci95_classes']}, decimals)})"


def difference(row: Row | None) -> str:
    """Return ``+1.2 ± 0.4``, with enough decimals for significant digits of the interval; an empty
    text for None.
    """
    if row is None:
        return ""
    decimals = decimals_of_difference(row)
    number = f"{scaled(row):+.{decimals}f}".replace("-", "−")
    nothing = not number.strip("+−0.")
    return f"{number.lstrip('+−') if nothing else number} ± {_rounded_up(row, decimals)}"


def decimals_of_difference(row: Row) -> int:
    """The number of decimals of a difference: if the interval excludes 0, so many that the rounded
    interval does, too.
    """
    usual = _usual_places(row)
    enough = (n for n in range(usual, usual + MORE_PLACES) if _rounded(row, n) > _up(row, n))
    return next(enough, usual + MORE_PLACES) if row["clear"] else usual


def _usual_places(row: Row) -> int:
    """The usual number of decimals: except for percentages, two significant digits of the interval,
    but at most three of the difference.
    """
    if row["percent"] or is_ranking(row):
        return 2 if row["percent"] and row["ci95"] * 100 <= 0.1 else 1
    mean, ci95 = abs(row["mean"]), row["ci95"] or 0
    return min(_decimals(ci95 or mean, 2), _decimals(max(mean, ci95), 3))


def verdict(row: Row | None) -> str:
    """Return ``better`` or ``worse`` if the interval of a difference excludes 0; else an empty
    text.
    """
    if row is None or not row["clear"]:
        return ""
    return "better" if (row["mean"] > 0) == row["higher_is_better"] else "worse"


def _rounded_up(row: Row, decimals: int) -> str:
    return f"{_up(row, decimals) / 10**decimals:.{decimals}f}"


def _up(row: Row, decimals: int) -> int:
    """The interval in units of its last decimal, rounded up."""
    return math.ceil(scaled(row, "ci95") * 10**decimals)


def _rounded(row: Row, decimals: int) -> int:
    """The absolute mean in units of its last decimal, rounded as it is printed."""
    return int(f"{abs(scaled(row)):.{decimals}f}".replace(".", ""))


def scaled(row: Row, what: str = "mean") -> float:
    """The mean, or the interval, in percent if the metric is shown so."""
    number: float = row[what] * (100 if row["percent"] else 1)
    return number


def digits(row: Row) -> int:
    """The number of decimals of a score."""
    if row["percent"] or is_ranking(row):
        return 1
    return _decimals(max(abs(row["mean"]), abs(row.get("ci95") or 0)), 3)


def _decimals(value: float, count: int) -> int:
    """The number of decimals that shows ``count`` significant digits of a number."""
    return max(0, count - 1 - math.floor(math.log10(value or 1)))


def headlines(rows: list[Row]) -> list[Row]:
    """Return the main results of the learned predictor: for each task and mapping the first metric,
    at the most prominent shape of episodes.
    """
    chosen: dict[tuple[str, str], Row] = {}
    for row in uncorrupted(rows):
        if not is_baseline(row) and not is_calibration(row) and not row.get("subset"):
            key = (row["task"], mapping(row))
            if key not in chosen or prominence(row) > prominence(chosen[key]):
                chosen[key] = row
    return list(chosen.values())


def prominence(row: Row) -> tuple[int, int]:
    """A sort key: results of a shape of episodes with a larger key are more prominent.

    More ways and fewer shots are harder, and so more prominent. For one way, more shots are, since
    one shot often leaves only one possible answer.
    """
    return row["ways"], row["shots"] if row["ways"] == 1 else -row["shots"]


def as_csv(rows: list[Row]) -> str:
    """Write a line of numbers for each row; the modalities of one side are joined by ``+``."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: "+".join(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows
    )
    return out.getvalue()
