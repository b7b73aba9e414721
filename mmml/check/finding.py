"""One thing to know of a manifest."""

from dataclasses import dataclass

SHOWN = 5  # examples that a finding names


@dataclass(frozen=True)
class Finding:
    """One thing to know.

    Attributes:
        stops: whether training would fail.
        what: in one sentence.
        mend: how to mend it, in one sentence.
        examples: some of the rows or classes at fault.
    """

    stops: bool
    what: str
    mend: str
    examples: tuple[str, ...] = ()


def many(count: int, noun: str) -> str:
    """``1 row``, ``1,200 rows``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
