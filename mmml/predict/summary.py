"""A summary of predictions, printed at the end."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text
from tqdm import tqdm

from mmml.data.manifest.rows import constant_files
from mmml.predict.inputs import Queries
from mmml.predict.model import Adapted, Prediction
from mmml.tasks.generation.scores import chrf
from mmml.terminal import plain_console

NONE = "none of these"
SHOWN = 20  # predictions in the table


def answer(p: Prediction) -> str:
    """The content of the column ``prediction``."""
    if p.problem is not None:
        return ""
    if p.score is not None:
        return f"{p.score:.6g}"
    return p.text if p.text is not None else p.label if p.label is not None else NONE


class PredictionSummary:
    """Counts predictions, and the correct ones if the queries have labels or scores.

    Args:
        queries: the queries.
        adapted: the adapted learner.
    """

    def __init__(self, queries: Queries, adapted: Adapted):
        self.count, self.queries = len(queries), queries
        task = adapted.model.learner.task
        self.per_sample_target = task.per_sample_target
        wanted = task.target or "label"
        self.truth = (
            queries.rows.column(wanted).to_pylist()
            if queries.rows.has(wanted)
            else [None] * self.count
        )
        self.known = set(adapted.samples.classes)
        self.labels: Counter[str] = Counter()
        self.sure: defaultdict[str, float] = defaultdict(float)
        self.right: list[bool] = []  # for each query whose class is in the support set
        self.rejected: list[bool] = []  # for each query whose class is not
        self.answers: list[tuple[str, str]] = []  # the first predicted scores or texts
        self.errors: list[float] = []
        self.alike: list[float] = []  # chrF of each text with the true one
        self.unread = 0

    def watch(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """Yield the same predictions, counting them, with a progress bar."""
        bar = tqdm(
            predictions,
            total=self.count,
            desc="predicting",
            unit="query",
            disable=not sys.stderr.isatty(),
        )
        for truth, p in zip(self.truth, bar, strict=True):
            if p.problem is not None:
                self.unread += 1
            else:
                self._count(truth, p)
            yield p

    def _count(self, truth: str | None, p: Prediction) -> None:
        if self.per_sample_target and len(self.answers) < SHOWN:
            self.answers.append((p.id, answer(p)))
        elif not self.per_sample_target:
            self.labels[answer(p)] += 1
            self.sure[answer(p)] += p.probability or 0
        if truth is None:
            return
        if p.text is not None:
            self.alike.append(chrf(p.text, str(truth)))
        elif p.score is not None:
            self.errors.append(abs(p.score - float(truth)))
        elif truth in self.known:
            self.right.append(p.label == truth)
        else:
            self.rejected.append(p.label is None)

    def show(self, title: str, output: Path) -> None:
        """Print a table of the predictions, and the share of correct ones."""
        table = Table(
            title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0)
        )
        if self.per_sample_target:
            self._list(table)
        else:
            self._sum_up(table)
        console = plain_console()
        console.print(table)
        if self.right:
            console.print(
                f"right: {mean_of(self.right):.1%} of the {len(self.right):,} queries "
                "with a known label"
            )
        if self.rejected:
            message = f"{len(self.rejected):,} queries with labels that the support set has not"
            console.print(f"rejected: {mean_of(self.rejected):.1%} of the {message}")
        if self.errors:
            console.print(
                f"mean absolute error: {mean_of(self.errors):.3f} over {len(self.errors):,} "
                "queries with a score"
            )
        if self.alike:
            console.print(
                f"chrF: {mean_of(self.alike):.1%} over {len(self.alike):,} queries with a text"
            )
        if self.unread:
            console.print(f"could not be read: {self.unread:,} (see the column problem)")
        for modality, names in self.queries.constant.items():
            console.print(constant_files(modality, names, "query"))
        print(f"predictions: {output}")

    def _list(self, table: Table) -> None:
        """Add the first scores, or texts, to a table."""
        for name in ("query", "prediction"):
            table.add_column(name, overflow="fold")
        for row in self.answers:
            # A text may contain brackets, which rich would read as markup.
            table.add_row(*map(Text, row))
        if (more := self.count - self.unread - len(self.answers)) > 0:
            table.add_row(f"… and {more:,} more", "")

    def _sum_up(self, table: Table) -> None:
        """Add how often each label was predicted, and with which mean probability."""
        for name, side in (
            ("prediction", "left"),
            ("queries", "right"),
            ("mean probability", "right"),
        ):
            table.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
        for label, count in self.labels.most_common(SHOWN):
            mean = f"{self.sure[label] / count:.2f}" if label != NONE else ""
            table.add_row(Text(label), f"{count:,}", mean)
        if len(self.labels) > SHOWN:
            table.add_row(f"… and {len(self.labels) - SHOWN} more", "", "")


def mean_of(values: Sequence[float]) -> float:
    """The mean of some values."""
    return sum(values) / len(values)
