"""Check mmml against other libraries: ``python scripts/check_against.py [LIBRARY ...]``.

Losses, distances, classifiers, gradients through inner loops, update rules, intervals and metrics
are computed twice from the same numbers: by mmml and by a library, if it is installed
(``pip install 'mmml[compare]'``). Prints a table: check, reference, mmml (means, if there are
several numbers), and the largest difference. Exits with 1 if a difference is above its tolerance,
and with 2 if no library is installed.
"""

import importlib
import sys
import warnings
from dataclasses import dataclass

import numpy as np
from comparisons import CHECKS, Check
from rich.console import Console
from rich.table import Table

from mmml.errors import did_you_mean


@dataclass(frozen=True)
class Outcome:
    """The result of a check; its numbers are None if the library is not installed."""

    check: Check
    reference: np.ndarray | None = None
    own: np.ndarray | None = None

    @property
    def difference(self) -> float:
        """The largest difference; NaN if one side is NaN."""
        assert self.reference is not None and self.own is not None
        return float(np.abs(self.reference - self.own).max())

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the tolerance, or nothing was compared."""
        return self.reference is None or self.difference <= self.check.tolerance

    def row(self) -> list[str]:
        """Return the row of the table."""
        if self.reference is None or self.own is None:
            return [self.check.what, self.check.library, "not installed", "", "", ""]
        shown = [f"{float(x.mean()):.6g}" for x in (self.reference, self.own)]
        far = "" if self.agrees else f"more than {self.check.tolerance:.0e}"
        return [self.check.what, self.check.library, *shown, f"{self.difference:.1e}", far]


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit code."""
    known = {check.library for check in CHECKS}
    if {"-h", "--help"} & set(arguments):
        print(__doc__, "Libraries: " + ", ".join(sorted(known)), sep="\n")
        return 0
    for unknown in set(arguments) - known:
        print(
            f"check_against.py: {unknown} is no library to compare "
            f"with{did_you_mean(unknown, known)}",
            file=sys.stderr,
        )
        return 2
    outcomes = [outcome(check) for check in CHECKS if not arguments or check.library in arguments]
    table = Table(
        "check", "library", "reference", "mmml", "difference", "", box=None, pad_edge=False
    )
    for found in outcomes:
        table.add_row(*found.row(), style=None if found.agrees else "bold red")
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    compared = [found for found in outcomes if found.reference is not None]
    if not compared:
        print(
            "check_against.py: none of them is installed; pip install 'mmml[compare]'",
            file=sys.stderr,
        )
        return 2
    disagreeing = sum(not found.agrees for found in compared)
    print(f"{len(compared)} of {len(outcomes)} checks done, {disagreeing} beyond tolerance")
    return int(disagreeing > 0)


def outcome(check: Check) -> Outcome:
    """Compute both sides of a check."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old libraries with a new torch
        try:
            importlib.import_module(check.package)
        except ImportError:
            return Outcome(check)
        reference, own = (np.asarray(x, np.float64) for x in check.compute())
    if reference.shape != own.shape:
        raise ValueError(f"{check.what}: {check.library} gives {reference.shape}, mmml {own.shape}")
    return Outcome(check, reference, own)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
