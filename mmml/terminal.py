"""Safe printing: text is never read as markup, and closed streams or unknown characters raise no
error.
"""

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


def open_streams() -> None:
    """Make printing safe, whatever the state of the standard streams.

    A closed stream is replaced by the null device, before a file of the run gets its descriptor. A
    character that a stream cannot encode is printed as an escape sequence.
    """
    for name, flags in (("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY)):
        stream = getattr(sys, name)
        if stream is None:
            nowhere = os.open(os.devnull, flags)  # takes the lowest free descriptor
            setattr(
                sys,
                name,
                os.fdopen(nowhere, "r" if flags == os.O_RDONLY else "w", encoding="utf-8"),
            )
        elif flags == os.O_WRONLY and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def settle_streams() -> None:
    """Flush the streams; a stream that fails, for a full disk or a closed pipe, must not fail again
    at exit.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def plain_console() -> "Console":
    """Return a console that prints names and texts unchanged, without markup."""
    from rich.console import Console

    return Console(markup=False, highlight=False, emoji=False)
