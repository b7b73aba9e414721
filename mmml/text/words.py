"""Words of a text in any alphabet."""

import unicodedata


def words(text: str) -> list[str]:
    """Runs of letters, with their marks, and digits, in lower case; where no spaces are written,
    a run is one word.
    """
    kept = (c if unicodedata.category(c)[0] in "LMN" else " " for c in text.lower())
    return "".join(kept).split()
