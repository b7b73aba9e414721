"""A problem of a manifest, or a remark on it."""

from dataclasses import dataclass

from mmml.data.base import MODALITIES

SHOWN = 5  # examples that an issue lists
GAPS = {f"it has no {m}" for m in MODALITIES} | {f"its class has no {m}" for m in MODALITIES}
"""Problems that only concern mappings that use the missing modality."""


@dataclass(frozen=True)
class Issue:
    """A problem of a manifest, or a remark on it.

    Attributes:
        stops: whether training would fail.
        what: the problem, in one sentence.
        hint: how to fix it, in one sentence.
        examples: some of the rows or classes that it concerns.
    """

    stops: bool
    what: str
    hint: str
    examples: tuple[str, ...] = ()
