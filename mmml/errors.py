"""The errors that mmml raises intentionally; the console scripts print each as one sentence."""

import difflib
import errno
from collections.abc import Iterable
from typing import Any


class ExpectedError(Exception):
    """An error that is shown to the user in one sentence, without a traceback."""

    exit_code = 1


class UserError(ExpectedError):
    """An error of the user, such as an invalid option or file."""

    exit_code = 2


class TrainingError(ExpectedError):
    """Training cannot continue, because a loss or gradient is not finite."""


class IndependenceError(ExpectedError):
    """The scores of an evaluation are invalid, because predictions depend on other queries."""


DISK = {
    errno.ENOSPC: "make room there, or write to another disk",
    errno.EDQUOT: "make room there, or write to another disk",
    errno.EFBIG: "raise the limit on file sizes, or write to another disk",
    errno.EIO: "check that disk, or use another",
    errno.EROFS: "write to another disk",
}
"""By the ``errno`` of errors that a disk causes, not a bug: advice for the user."""


def expected(error: Exception) -> Exception:
    """Return a :class:`UserError` for an error of a full or broken disk, and any other error as it
    is.
    """
    if not isinstance(error, OSError) or error.errno not in DISK:
        return error
    name = error.filename or "standard output"  # all other output has a name
    done = "read or written" if error.errno == errno.EIO else "written"
    return UserError(f"{name} cannot be {done} ({error.strerror}): {DISK[error.errno]}")


def many(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 row``, ``1,200 rows``."""
    plural = "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{'' if count == 1 else plural}"


def did_you_mean(word: str, known: Iterable[str], cutoff: float = 0.5) -> str:
    """Return a hint such as ``; did you mean 'ways'?``, or the empty string if no known word is
    similar.

    Args:
        word: as the user wrote it.
        known: possible words.
        cutoff: the smallest similarity, from 0 to 1; higher for words that may be correct.
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""


def require(ok: bool, option: str, value: Any, wanted: str) -> None:
    """Raise a :class:`UserError` that names the option unless ``ok``."""
    if not ok:
        raise UserError(f"{option}={value} must be {wanted}")
