"""Splitting texts in any alphabet into words."""

import unicodedata


def words(text: str) -> list[str]:
    """Return the runs of letters (with combining marks) and digits of a text, in lower case; in
    scripts without spaces, a run is one word.
    """
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in text.lower())
    return "".join(kept).split()
