"""What is printed: never read as markup, and never lost for a stream that is closed or knows few signs."""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def open_streams() -> None:
    """Let this process print whatever it has to say, whoever started it.

    Closed streams lead nowhere, before a file of the run takes their number. A sign that a stream cannot encode, or
    half of one in the name of a file, is printed as its code.
    """
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY)):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, flags)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(nowhere, "r" if flags == os.O_RDONLY else "w", encoding="utf-8"))
        elif flags == os.O_WRONLY and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def settle_streams() -> None:
    """What could not be printed, for a full disk or a reader that has gone, must not fail once more at the end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def plain_console() -> "Console":
    """A console that prints names and texts of the user's as they are: brackets are no markup."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)
