"""Simulate the coverage of 95 % intervals: ``python scripts/interval_coverage.py [REPEATS]``.

Results with a known true value are simulated REPEATS times (2,000 by default): accuracies,
differences of two predictors on the same episodes, and calibration errors. An interval should
contain the true value in 95 of 100 cases. The queries of an episode are independent or correlated
(``alike`` is the correlation of two of them, by a beta-binomial distribution). Exits with 1 if a
coverage is below ``LEAST`` for independent queries.
"""

import sys
from collections.abc import Callable, Iterator

import numpy as np

from mmml.evaluation.calibration import calibration_error
from mmml.evaluation.statistics import interval, paired_interval

LEAST = 0.93
REPEATS = 2000
EPISODES = (100, 300, 1000, 3000, 10_000)
ACCURACIES = (0.5, 0.8, 0.95, 0.99, 0.997, 0.999, 0.9995)
DIFFERENCES = ((0.0005, 0.0), (0.001, 0.0005), (0.005, 0.002), (0.02, 0.01), (0.2, 0.15))
GAPS = (0.0, 0.01, 0.03, 0.1)
ANSWERS = (25, 100)  # queries of an episode: 5 for each of 5 or 20 classes
ALIKE = (0.0, 0.03)

Draw = Callable[[np.random.Generator, int], tuple[float, float | None]]


def shares(
    rng: np.random.Generator,
    shape: tuple[int, ...],
    chances: np.ndarray,
    answers: int,
    alike: float,
) -> np.ndarray:
    """Return the shares of answers of each kind, ``[…, kinds]``, in episodes whose answers have the
    correlation ``alike``.
    """
    if alike:
        strength = (1 - alike) / alike
        drawn = (
            rng.gamma(np.maximum(chances * strength, 1e-12), size=(*shape, len(chances))) + 1e-300
        )
        return rng.multinomial(answers, drawn / drawn.sum(-1, keepdims=True)) / answers
    return rng.multinomial(answers, chances, size=shape) / answers


def accuracy(truth: float, answers: int, alike: float) -> Draw:
    """Return a function that simulates an accuracy and returns its mean and the half-width of its
    interval.
    """
    chances = np.array([truth, 1 - truth])
    return lambda rng, n: interval(shares(rng, (n,), chances, answers, alike)[:, 0], answers)


def difference(only_a: float, only_b: float, answers: int, alike: float) -> Draw:
    """Return the same function for a difference, given the shares of answers that only one of two
    predictors gets right.
    """
    chances = np.array([only_a, only_b, 1 - only_a - only_b])

    def draw(rng: np.random.Generator, n: int) -> tuple[float, float]:
        found = shares(rng, (n,), chances, answers, alike)
        return paired_interval(found[:, 0], found[:, 1], answers)

    return draw


def calibration(gap: float, answers: int, alike: float) -> Draw:
    """Return the same function for a calibration error of confidences from 0.4 to 1 that are too
    high by ``gap``.
    """

    def draw(rng: np.random.Generator, n: int) -> tuple[float, float | None]:
        confidence = rng.beta(4, 1, (n, answers)) * 0.6 + 0.4
        luck = rng.random((n, answers))
        if alike:  # answers of an episode are correlated
            luck = np.where(rng.random((n, 1)) < alike, luck[:, :1], luck)
        return calibration_error(confidence, luck < confidence - gap)

    return draw


def coverage(draw: Draw, truth: float, n: int, repeats: int) -> float:
    """Return the share of intervals that contain the true value."""
    rng = np.random.default_rng([n, round(truth * 1e6)])
    found = [draw(rng, n) for _ in range(repeats)]
    return float(np.mean([abs(mean - truth) <= (half or 0) + 1e-12 for mean, half in found]))


def tables(repeats: int) -> Iterator[tuple[str, str, dict[int, float], bool]]:
    """Yield title, true value, coverage by number of episodes, and whether the coverage is
    checked.
    """
    for answers in ANSWERS:
        for alike in ALIKE:
            about = f"{answers} answers an episode" + (f", correlated by {alike}" if alike else "")
            cases: list[tuple[str, str, Draw, float]] = []
            cases += [("accuracy", f"{a}", accuracy(a, answers, alike), a) for a in ACCURACIES]
            cases += [
                ("difference", f"{a:g} less {b:g}", difference(a, b, answers, alike), a - b)
                for a, b in DIFFERENCES
            ]
            cases += [
                ("calibration error", f"{g:g}", calibration(g, answers, alike), g) for g in GAPS
            ]
            for kind, title, draw, truth in cases:
                sizes = [n for n in EPISODES if kind != "calibration error" or n <= 1000]
                yield (
                    f"{kind}, {about}",
                    title,
                    {n: coverage(draw, truth, n, repeats) for n in sizes},
                    not alike,
                )


def main(arguments: list[str]) -> int:
    """Print a table for each kind of interval; return the exit code."""
    if (
        any(not argument.isdecimal() or not int(argument) for argument in arguments)
        or len(arguments) > 1
    ):
        print(__doc__)
        return 0 if {"-h", "--help"} & set(arguments) else 2
    repeats, before, held = int(arguments[0]) if arguments else REPEATS, "", True
    for title, truth, found, must in tables(repeats):
        if title != before:
            print(
                f"\n{title}, {repeats} repeats\n\n| truth | "
                f"{' | '.join(f'{n:,} episodes' for n in EPISODES)} |"
            )
            print("| --- |" + " --- |" * len(EPISODES))
        before = title
        print(
            f"| {truth} | {' | '.join(f'{found[n]:.3f}' if n in found else '' for n in EPISODES)} "
            "|",
            flush=True,
        )
        held &= not must or min(found.values()) >= LEAST
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
