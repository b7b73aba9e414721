"""Whether adaptation helps: the verdicts of a ``result.json`` as tables, for HTML and for the
terminal.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from mmml.reporting import rows as show
from mmml.reporting.rows import Row

THAN = {
    "no support": "without a support set",
    "permuted targets": "with permuted targets",
    "constant": "the best constant answer",
    "untrained": "the best untrained row",
}


@dataclass
class Against:
    """The difference of a learned row to another row: ``outcome`` is ``+1.2 ± 0.4``, and
    ``verdict`` is ``better``, ``worse`` or empty.
    """

    metric: str
    than: str
    other: str
    outcome: str
    verdict: str


@dataclass
class VerdictItem:
    """The verdict on one learned row: its episodes, the rows that it is compared with, and the
    outcome. Other metrics are included if the learned row is worse by them.

    ``verdict`` is ``better`` if the row passed, ``worse`` if it did not, and empty if the verdict
    is open.
    """

    played: str
    predictor: str
    outcome: str
    verdict: str
    against: list[Against]


def verdict_items(verdicts: Sequence[dict[str, Any]]) -> list[VerdictItem]:
    """Return an item for each verdict."""
    return [_verdict_item(v) for v in verdicts]


def _verdict_item(verdict: dict[str, Any]) -> VerdictItem:
    follows = "better" if verdict["passed"] else "worse"
    if verdict["diverged"]:
        outcome = "not passed: it diverged in some task, by " + ", ".join(verdict["diverged"])
    elif verdict["missing"]:
        outcome, follows = "open: there is no row of " + ", ".join(verdict["missing"]), ""
    else:
        outcome = "passed" if verdict["passed"] else "not passed"
    played = f"{show.mapping(verdict)}, {show.column(verdict)}"
    against = [_against(c) for c in (*verdict["comparisons"], *verdict["losses"])]
    return VerdictItem(played, verdict["predictor"], outcome, follows, against)


def _against(compared: dict[str, Any]) -> Against:
    row: Row = compared | {"clear": abs(compared["mean"]) > compared["ci95"]}
    clear = ("better" if row["mean"] > 0 else "worse") if row["clear"] else ""
    return Against(row["metric"], THAN[row["role"]], row["other"], show.difference(row), clear)


def verdict_table(verdicts: Sequence[dict[str, Any]]) -> Iterable[Table]:
    """Yield a table for each verdict, for a terminal of 80 columns or more."""
    for one in verdict_items(verdicts):
        title = f"does adaptation help? {one.outcome}: {one.predictor}, {one.played}"
        table = Table(
            title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=0
        )
        table.show_edge = False
        for head in ("better by", "metric", "than", ""):
            table.add_column(head, justify="right" if head == "better by" else "left")
        for a in one.against:
            table.add_row(("*" if a.verdict else "") + a.outcome, a.metric, a.than, Text(a.other))
        yield table
