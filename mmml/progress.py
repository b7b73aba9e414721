"""A progress bar for what may take a while."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")

DELAY = 2.0  # seconds before there is one


def progress(parts: Iterable[T], what: str, total: int) -> Iterable[T]:
    """The parts as they are; meanwhile, in a terminal, a bar that goes when they are done.

    Args:
        parts: of some work.
        what: it is.
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
