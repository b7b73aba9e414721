"""How cells of the panel are named and shown, the same in every table."""

import math
from typing import Any

Cell = dict[str, Any]

MORE_PLACES = 6  # at most, so that what is marked as clear of zero is seen to be
BESIDES = ("summary",)  # tasks that are played besides the run's own, with the same mappings


def mapping(cell: Cell) -> str:
    """``text:image``, ``image → text`` (query → gallery) for a ranking, or the name of a family of problems.

    With what was to be found or written, ``image:image → text``.
    """
    support, query = "+".join(cell["support"]), "+".join(cell["query"])
    if is_problem(cell):
        return support
    asked = f" → {cell['target']}" if cell.get("target") else ""
    return f"{query} → {support}" if is_ranking(cell) else f"{support}:{query}{asked}"


def column(cell: Cell) -> str:
    """``20-way 1-shot``, ``mean loss, step 100`` of a problem, or the metric of a ranking."""
    if is_problem(cell):
        return f"{cell['metric']}, step {cell['step']}"
    return cell["metric"] if is_ranking(cell) else f"{cell['ways']}-way {cell['shots']}-shot"


def name(cell: Cell) -> str:
    """Tells a cell from all others of a predictor: mapping, column, and the metric where it is not the usual one."""
    extra = f" {cell['metric']}" if is_calibration(cell) or cell["task"] in BESIDES else ""
    return f"{mapping(cell)} {column(cell)}{extra}{_subset(cell)}"


def predictor(cell: Cell) -> str:
    """With a mark if it is transductive, and which queries count if not all do."""
    return cell["predictor"] + (" (transductive)" if cell["transductive"] else "") + _subset(cell)


def _subset(cell: Cell) -> str:
    """Which queries count, if not all do."""
    return f", {cell['subset']}" if cell.get("subset") else ""


def is_ranking(cell: Cell) -> bool:
    """Whether all classes were candidates."""
    return cell.get("candidates") is not None


def is_problem(cell: Cell) -> bool:
    """Whether it is the loss of problems after some steps."""
    return cell.get("step") is not None


def is_difference(cell: Cell) -> bool:
    """Whether it is a score less another."""
    return "clear" in cell


def is_calibration(cell: Cell) -> bool:
    """Whether it says how far confidence can be believed, which has a table of its own and is no score."""
    return cell["metric"] == "calibration error"


def value(cell: Cell | None) -> str:
    """``99.3 ± 0.1``, the mean alone where there is no interval, or nothing; intervals are rounded up."""
    if cell is None:
        return ""
    if cell["mean"] is None:
        return "diverged"
    decimals, number = digits(cell), f"{scaled(cell):.{digits(cell)}f}"
    if cell["ci95"] is None or cell["episodes"] == 0:
        return number
    return f"{number} ± {_rounded_up(cell, decimals)}"


def validation(score: float | None) -> str:
    """A validation score, which is no number where every validation diverged."""
    return "diverged" if score is None else f"{score:.4f}"


def over_classes(cell: Cell | None) -> str:
    """``(± 0.9)``: the interval where test classes are taken for a sample too; nothing where it is not known."""
    if cell is None or cell.get("ci95_classes") is None or cell["mean"] is None or cell["episodes"] == 0:
        return ""
    decimals = decimals_of_difference(cell) if is_difference(cell) else digits(cell)
    return f"(± {_rounded_up(cell | {'ci95': cell['ci95_classes']}, decimals)})"


def difference(cell: Cell | None) -> str:
    """``+1.2 ± 0.4``, or nothing; so many places that the interval has some that count."""
    if cell is None:
        return ""
    decimals = decimals_of_difference(cell)
    number = f"{scaled(cell):+.{decimals}f}".replace("-", "−")
    nothing = not number.strip("+−0.")
    return f"{number.lstrip('+−') if nothing else number} ± {_rounded_up(cell, decimals)}"


def decimals_of_difference(cell: Cell) -> int:
    """Behind the point; so many more where else the rounded interval would not exclude 0, and the interval does."""
    usual = _usual_places(cell)
    enough = (n for n in range(usual, usual + MORE_PLACES) if _rounded(cell, n) > _up(cell, n))
    return next(enough, usual + MORE_PLACES) if cell["clear"] else usual


def _usual_places(cell: Cell) -> int:
    """Of no percentage two digits of the interval, but not more than three of the difference."""
    if cell["percent"] or is_ranking(cell):
        return 2 if cell["percent"] and cell["ci95"] * 100 <= 0.1 else 1
    mean, ci95 = abs(cell["mean"]), cell["ci95"] or 0
    return min(_places(ci95 or mean, 2), _places(max(mean, ci95), 3))


def verdict(cell: Cell | None) -> str:
    """``better`` or ``worse``, where the interval of a difference excludes 0; else nothing."""
    if cell is None or not cell["clear"]:
        return ""
    return "better" if (cell["mean"] > 0) == cell["higher_is_better"] else "worse"


def _rounded_up(cell: Cell, decimals: int) -> str:
    return f"{_up(cell, decimals) / 10**decimals:.{decimals}f}"


def _up(cell: Cell, decimals: int) -> int:
    """The interval in units of its last place, rounded up."""
    return math.ceil(scaled(cell, "ci95") * 10**decimals)


def _rounded(cell: Cell, decimals: int) -> int:
    """The size of the mean in units of its last place, rounded as it is printed."""
    return int(f"{abs(scaled(cell)):.{decimals}f}".replace(".", ""))


def scaled(cell: Cell, what: str = "mean") -> float:
    """The mean, or the interval, as it is shown."""
    number: float = cell[what] * (100 if cell["percent"] else 1)
    return number


def digits(cell: Cell) -> int:
    """How many places are shown behind the point."""
    if cell["percent"] or is_ranking(cell):
        return 1
    return _places(max(abs(cell["mean"]), abs(cell.get("ci95") or 0)), 3)


def _places(value: float, count: int) -> int:
    """Behind the point, so many that ``count`` digits of a number of any size count."""
    return max(0, count - 1 - math.floor(math.log10(value or 1)))


def headlines(panel: list[Cell]) -> list[Cell]:
    """What the learned predictor is quoted by: the first metric of a mapping and a task, where most prominent."""
    chosen: dict[tuple[str, str], Cell] = {}
    for cell in panel:
        if not cell["baseline"] and not is_calibration(cell) and not cell.get("subset"):
            key = (cell["task"], mapping(cell))
            if key not in chosen or prominence(cell) > prominence(chosen[key]):
                chosen[key] = cell
    return list(chosen.values())


def prominence(cell: Cell) -> tuple[int, int]:
    """The larger, the sooner a learner is quoted by such episodes.

    Of more ways and fewer shots, which are harder; of one way, where one shot often leaves one answer, of more shots.
    """
    return cell["ways"], cell["shots"] if cell["ways"] == 1 else -cell["shots"]


def played(cell: Cell) -> str:
    """What its scores are a sample of."""
    if is_problem(cell):
        return "problems"
    return "videos" if cell["task"] in BESIDES else "episodes"
