"""A progress bar for long work."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

DELAY = 2.0  # seconds before the bar appears


def progress(parts: Iterable[T], what: str, total: int) -> Iterable[T]:
    """Yield the parts unchanged, with a progress bar in a terminal that disappears at the end.

    Args:
        parts: of some work.
        what: a description of the work.
        total: number of parts.
    """
    shown = sys.stderr.isatty()
    return tqdm(
        parts,
        desc=what,
        total=total,
        delay=DELAY,
        leave=False,
        disable=not shown,
        dynamic_ncols=True,
    )
