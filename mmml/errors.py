"""The errors that mmml raises on purpose; the console scripts turn each into one sentence."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake of the user's (an option, a file): exit code 2, no traceback."""


class TrainingError(Exception):
    """Training cannot go on (a loss that is not finite): exit code 1, no traceback."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint such as ``; did you mean 'ways'?``, or the empty string if nothing is near."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
