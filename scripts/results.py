"""Measured figures: the schema of ``docs/results/NAME.json`` and the tables of ``docs/results.md``.

A file has one :class:`Result`, with the names of its attributes as keys. Unknown values are
``null`` there and ``–`` in the tables.
"""

import json
import math
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent / "docs"
FOLDER, PAGE = DOCS / "results", DOCS / "results.md"
HEAD = ("experiment", "metric", "ours", "published", "best baseline", "seeds", "command", "commit")
TABLE = re.compile(r"(<!-- table: (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Published:
    """A published result for the same protocol.

    Attributes:
        value: in the unit of the figure.
        interval: as it was published.
        source: authors and year.
    """

    value: float
    interval: float | None
    source: str


@dataclass(frozen=True)
class Baseline:
    """Another row on the same test episodes.

    Attributes:
        name: of the row of results.
        value: its score, in the unit of the figure.
        interval: the half-width of the 95 % interval of the score.
        gain: how much better ours is, in the same unit; a positive gain is better for all metrics.
        gain_interval: the half-width of the 95 % interval of the paired gain.
    """

    name: str
    value: float | None = None
    interval: float | None = None
    gain: float | None = None
    gain_interval: float | None = None


@dataclass(frozen=True)
class Figure:
    """One number.

    Attributes:
        what: mapping, ways and shots, or the problems.
        metric: its name.
        unit: ``%``, ``nats`` or empty.
        higher_is_better: False for errors and losses.
        value: the mean.
        interval: the half-width of the 95 % interval of the mean.
        over: what the interval is over: ``seeds``, ``speakers``, ``episodes``, ``queries``,
            ``problems``, ``videos``.
        episodes: number of test episodes (or queries, problems, videos) of each run.
        each: the values in the mean, by seed, speaker or artwork.
        published: the results of others.
        baselines: other rows; tables show the strongest.
        adaptation_helps: the verdict (docs/evaluation.md), if there is one.
        worse_by: other metrics by which ours is worse than a baseline, as text.
    """

    what: str
    metric: str
    unit: str
    higher_is_better: bool
    value: float
    interval: float | None = None
    over: str | None = None
    episodes: int | None = None
    each: dict[str, float] | None = None
    published: Published | None = None
    baselines: Sequence[Baseline] = ()
    adaptation_helps: bool | None = None
    worse_by: Sequence[str] = ()

    def gain(self, baseline: Baseline) -> float:
        """Return how much better ours is than a baseline; a positive gain is better."""
        if baseline.gain is not None:
            return baseline.gain
        if baseline.value is None:
            return math.inf
        return (self.value - baseline.value) * (1 if self.higher_is_better else -1)

    @property
    def best_baseline(self) -> Baseline | None:
        """The strongest baseline."""
        return min(self.baselines, key=self.gain, default=None)


@dataclass(frozen=True)
class Result:
    """The result of one reproduction.

    Attributes:
        topic: the table of ``docs/results.md``.
        experiment: in words.
        command: reproduces the result.
        seeds: of training.
        commit: of the measurement; several are joined by a comma.
        date: such as ``2026-11-30``.
        machine: in words.
        seconds: of training and test, of each run.
        figures: the measured figures.
    """

    topic: str
    experiment: str
    command: str
    seeds: Sequence[int]
    commit: str
    date: str | None
    machine: str | None
    seconds: float | None
    figures: Sequence[Figure]


def load(path: Path) -> Result:
    """Read a file; raises ``TypeError`` for a missing or unknown key."""

    def figure(
        *,
        published: dict[str, Any] | None = None,
        baselines: Iterable[dict[str, Any]] = (),
        **rest: Any,
    ) -> Figure:
        others = [Baseline(**b) for b in baselines]
        return Figure(
            published=Published(**published) if published else None, baselines=others, **rest
        )

    content = json.loads(path.read_text())
    return Result(figures=[figure(**f) for f in content.pop("figures")], **content)


def save(name: str, result: Result) -> None:
    """Write ``docs/results/NAME.json``; fields that a figure does not have are left out, unknown
    values are ``null``.
    """
    content = asdict(result)
    for figure in content["figures"]:
        for key in ("each", "published", "baselines", "adaptation_helps", "worse_by"):
            if figure[key] in (None, (), [], {}):
                del figure[key]
    (FOLDER / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def rounded(value: float, interval: float | None) -> tuple[float, float | None]:
    """Round the interval to two digits and the value to the same place; a value without an interval
    to four digits.
    """
    if not interval:
        return float(f"{value:.4g}"), interval
    decimals = 1 - math.floor(math.log10(interval))
    return (
        (round(value, decimals), round(interval, decimals))
        if decimals > 0
        else (round(value), round(interval))
    )


def number(value: float | None, interval: float | None = None, sign: bool = False) -> str:
    """Return a text such as ``2.70 ± 0.71``; trailing zeros, which JSON drops, are added for up to
    two digits of the interval.
    """
    if value is None:
        return "–"
    decimals, of_interval = _decimals(value), 0
    if interval is not None:
        two_digits = 1 - math.floor(math.log10(interval)) if interval else 0
        of_interval = max(_decimals(interval), min(decimals, two_digits))
    shown = f"{value:{'+' if sign else ''}.{max(decimals, of_interval)}f}".replace("-", "−")
    return shown if interval is None else f"{shown} ± {interval:.{of_interval}f}"


def _decimals(value: float) -> int:
    return max(0, -int(Decimal(repr(value)).as_tuple().exponent))


def table(results: dict[str, Result], today: Container[str]) -> str:
    """Return the table of a topic in Markdown, one row for each figure; cells that repeat the row
    above are empty.

    Args:
        results: by name.
        today: names of results that this code can reproduce; others need the commit of their
            figures.
    """
    verdicts = any(f.adaptation_helps is not None for r in results.values() for f in r.figures)
    head = [*HEAD, *(["adaptation helps"] if verdicts else [])]
    lines = [head, ["---"] * len(head)]
    for name, result in results.items():
        about = [result.experiment, _seeds(result.seeds), f"[`{name}`](results/{name}.json)"]
        about.append(result.commit if name in today else f"only {result.commit}")
        for figure in result.figures:
            experiment, seeds, command, commit = about
            row = [
                experiment,
                _what(figure),
                number(figure.value, figure.interval),
                _published(figure.published),
            ]
            row += [_baseline(figure.best_baseline), seeds, command, commit]
            helps = {True: "yes", False: "no", None: ""}[figure.adaptation_helps]
            lines.append([*row, *([helps] if verdicts else [])])
            about = [""] * len(about)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _what(figure: Figure) -> str:
    unit = f", {figure.unit}" if figure.unit else ""
    return f"{figure.what}: {figure.metric}{unit}"


def _published(published: Published | None) -> str:
    return (
        f"{number(published.value, published.interval)} ({published.source})" if published else "–"
    )


def _baseline(baseline: Baseline | None) -> str:
    """Return name and score, with the paired gain in brackets."""
    if baseline is None:
        return "–"
    score = [] if baseline.value is None else [number(baseline.value, baseline.interval)]
    gain = (
        []
        if baseline.gain is None
        else [f"({number(baseline.gain, baseline.gain_interval, sign=True)})"]
    )
    return " ".join([baseline.name, *score, *gain])


def _seeds(seeds: Sequence[int]) -> str:
    in_a_row = len(seeds) > 1 and list(seeds) == list(range(seeds[0], seeds[-1] + 1))
    return f"{seeds[0]}–{seeds[-1]}" if in_a_row else ", ".join(map(str, seeds)) or "–"


def load_all(first: Iterable[str] = ()) -> dict[str, Result]:
    """Return all results by name: first those in the given order, then the others in alphabetical
    order.
    """
    names = [*first, *sorted(path.stem for path in FOLDER.glob("*.json"))]
    paths = {name: FOLDER / f"{name}.json" for name in dict.fromkeys(names)}
    return {name: load(path) for name, path in paths.items() if path.exists()}


def page(text: str, results: dict[str, Result], today: Container[str]) -> str:
    """Return the text of ``docs/results.md`` with new tables; raises ``ValueError`` for a topic
    without a table.

    Args:
        text: the present text.
        results: by name.
        today: names of results that this code can reproduce.
    """
    topics = [topic for _, topic, _ in TABLE.findall(text)]
    for name, result in results.items():
        if result.topic not in topics:
            raise ValueError(
                f"docs/results.md has no line <!-- table: {result.topic} -->, "
                f"which {name}.json needs"
            )

    def filled(found: re.Match[str]) -> str:
        begin, topic, end = found.groups()
        return begin + table({n: r for n, r in results.items() if r.topic == topic}, today) + end

    return TABLE.sub(filled, text)
