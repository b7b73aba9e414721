"""Printing: never read as markup, and no error if a stream is closed or cannot
encode a character.
"""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def open_streams() -> None:
    """Make printing safe, however this process was started.

    A closed stream is replaced by one that leads nowhere, before a file of the run gets its number.
    A character that a stream cannot encode is printed as its code.
    """
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY)):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, flags)  # takes the lowest number that is free
            setattr(
                sys,
                name,
                os.fdopen(nowhere, "r" if flags == os.O_RDONLY else "w", encoding="utf-8"),
            )
        elif flags == os.O_WRONLY and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def settle_streams() -> None:
    """Flush the streams; one that fails, for a full disk or a closed pipe, must not fail
    once more at the exit.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def plain_console() -> "Console":
    """A console that prints names and texts as they are: brackets are no markup."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)
