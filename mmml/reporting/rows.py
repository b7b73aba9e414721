"""How rows of results are named and shown, the same in every table."""

import csv
import io
import math
from typing import Any

Row = dict[str, Any]

MORE_PLACES = 6  # at most, so that what is marked as clear of zero is seen to be


def mapping(row: Row) -> str:
    """``text:image``, ``image → text`` (query → gallery) for a ranking, or the name
    of a family of problems.

    With what was to be found or written, ``image:image → text``.
    """
    support, query = "+".join(row["support"]), "+".join(row["query"])
    if is_problem(row):
        return support
    target = f" → {row['target']}" if row.get("target") else ""
    return f"{query} → {support}" if is_ranking(row) else f"{support}:{query}{target}"


def column(row: Row) -> str:
    """``20-way 1-shot``, ``mean loss, step 100`` of a problem, or the metric of a ranking."""
    if is_problem(row):
        return f"{row['metric']}, step {row['step']}"
    return row["metric"] if is_ranking(row) else f"{row['ways']}-way {row['shots']}-shot"


def name(row: Row) -> str:
    """Tells a row from all others of a predictor: mapping, column, and the metric where it
    is not the usual one.
    """
    extra = (
        f" {row['metric']}"
        if is_calibration(row) or row["unit"] not in ("episodes", "galleries", "problems")
        else ""
    )
    return f"{mapping(row)} {column(row)}{extra}{_subset(row)}"


def predictor(row: Row) -> str:
    """With a mark if it is transductive, and which queries count if not all do."""
    return row["predictor"] + (" (transductive)" if row["transductive"] else "") + _subset(row)


def _subset(row: Row) -> str:
    """Which queries count, if not all do."""
    return f", {row['subset']}" if row.get("subset") else ""


def uncorrupted(rows: list[Row]) -> list[Row]:
    """Those that are measured on the data as they are."""
    return [row for row in rows if "corruption" not in row]


def is_baseline(row: Row) -> bool:
    """Whether the predictor is only there to be compared with what was learned."""
    return bool(row["role"] != "learned")


def is_ranking(row: Row) -> bool:
    """Whether all classes were candidates."""
    return row.get("candidates") is not None


def is_problem(row: Row) -> bool:
    """Whether it is the loss of problems after some steps."""
    return row.get("step") is not None


def is_difference(row: Row) -> bool:
    """Whether it is a score less another."""
    return "clear" in row


def is_calibration(row: Row) -> bool:
    """Whether it says how far confidence can be believed, which has a table of its
    own and is no score.
    """
    return row["metric"] == "calibration error"


def value(row: Row | None) -> str:
    """``99.3 ± 0.1``, the mean alone where there is no interval, or nothing;
    intervals are rounded up.
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
    """A validation score, which is no number where every validation diverged."""
    return "diverged" if score is None else f"{score:.4f}"


def over_classes(row: Row | None) -> str:
    """``(± 0.9)``: the interval where test classes are taken for a sample too;
    nothing where it is not known.
    """
    if row is None or row.get("ci95_classes") is None or row["mean"] is None or row["n"] == 0:
        return ""
    decimals = decimals_of_difference(row) if is_difference(row) else digits(row)
    return f"(± {_rounded_up(row | {'ci95': row['ci95_classes']}, decimals)})"


def difference(row: Row | None) -> str:
    """``+1.2 ± 0.4``, or nothing; so many places that the interval has some that count."""
    if row is None:
        return ""
    decimals = decimals_of_difference(row)
    number = f"{scaled(row):+.{decimals}f}".replace("-", "−")
    nothing = not number.strip("+−0.")
    return f"{number.lstrip('+−') if nothing else number} ± {_rounded_up(row, decimals)}"


def decimals_of_difference(row: Row) -> int:
    """Behind the point; so many more where else the rounded interval would not exclude 0,
    and the interval does.
    """
    usual = _usual_places(row)
    enough = (n for n in range(usual, usual + MORE_PLACES) if _rounded(row, n) > _up(row, n))
    return next(enough, usual + MORE_PLACES) if row["clear"] else usual


def _usual_places(row: Row) -> int:
    """Of no percentage two digits of the interval, but not more than three of the difference."""
    if row["percent"] or is_ranking(row):
        return 2 if row["percent"] and row["ci95"] * 100 <= 0.1 else 1
    mean, ci95 = abs(row["mean"]), row["ci95"] or 0
    return min(_decimals(ci95 or mean, 2), _decimals(max(mean, ci95), 3))


def verdict(row: Row | None) -> str:
    """``better`` or ``worse``, where the interval of a difference excludes 0; else nothing."""
    if row is None or not row["clear"]:
        return ""
    return "better" if (row["mean"] > 0) == row["higher_is_better"] else "worse"


def _rounded_up(row: Row, decimals: int) -> str:
    return f"{_up(row, decimals) / 10**decimals:.{decimals}f}"


def _up(row: Row, decimals: int) -> int:
    """The interval in units of its last place, rounded up."""
    return math.ceil(scaled(row, "ci95") * 10**decimals)


def _rounded(row: Row, decimals: int) -> int:
    """The size of the mean in units of its last place, rounded as it is printed."""
    return int(f"{abs(scaled(row)):.{decimals}f}".replace(".", ""))


def scaled(row: Row, what: str = "mean") -> float:
    """The mean, or the interval, as it is shown."""
    number: float = row[what] * (100 if row["percent"] else 1)
    return number


def digits(row: Row) -> int:
    """How many places are shown behind the point."""
    if row["percent"] or is_ranking(row):
        return 1
    return _decimals(max(abs(row["mean"]), abs(row.get("ci95") or 0)), 3)


def _decimals(value: float, count: int) -> int:
    """Behind the point, so many that ``count`` digits of a number of any size count."""
    return max(0, count - 1 - math.floor(math.log10(value or 1)))


def headlines(rows: list[Row]) -> list[Row]:
    """What the learned predictor is quoted by: the first metric of a mapping and a task,
    where most prominent.
    """
    chosen: dict[tuple[str, str], Row] = {}
    for row in uncorrupted(rows):
        if not is_baseline(row) and not is_calibration(row) and not row.get("subset"):
            key = (row["task"], mapping(row))
            if key not in chosen or prominence(row) > prominence(chosen[key]):
                chosen[key] = row
    return list(chosen.values())


def prominence(row: Row) -> tuple[int, int]:
    """The larger, the sooner a learner is quoted by such episodes.

    Of more ways and fewer shots, which are harder; of one way, where one shot often leaves one
    answer, of more shots.
    """
    return row["ways"], row["shots"] if row["ways"] == 1 else -row["shots"]


def as_csv(rows: list[Row]) -> str:
    """A line for each row, as numbers; the modalities of one side are joined by ``+``."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(
        {k: "+".join(v) if isinstance(v, list) else v for k, v in row.items()} for row in rows
    )
    return out.getvalue()
