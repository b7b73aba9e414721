"""Values of a modality that some samples truly lack."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmml.data.values import Index, Values, concatenate, identity_of

ABSENT = -math.inf  # every number of the embedding of what is missing; NaN would hide an encoder that diverged


@dataclass(frozen=True)
class Partial:
    """A raw batch of n values, some of which are missing.

    Attributes:
        values: the raw batch of those that are there.
        present: which are, bool ``[n]``.
    """

    values: Any
    present: np.ndarray

    def __len__(self) -> int:
        return len(self.present)


class Gappy:
    """n values, some of which are missing; gives batches of the kind of :class:`Partial`.

    Args:
        values: of the samples that have one, in order.
        present: which samples have one, bool ``[n]``.
    """

    def __init__(self, values: Values, present: np.ndarray):
        if len(values) != present.sum():
            raise ValueError(f"{len(values)} values for {present.sum()} samples that have one")
        self.values, self.present = values, present
        self._place = np.cumsum(present) - 1

    @property
    def identity(self) -> str:
        """That of the values, and which are missing."""
        return f"{identity_of(self.values)}/{np.packbits(self.present).tobytes().hex()}"

    def __len__(self) -> int:
        return len(self.present)

    def __getitem__(self, index: Index) -> Partial:
        present = self.present[index]
        return Partial(self.values[self._place[index][present]], present)


def with_gaps(values: Values, present: np.ndarray) -> Values:
    """The values of the samples that have one as those of all samples; as they are, if all have one."""
    return values if present.all() else Gappy(values, present)


def present_values(values: Any) -> Any:
    """Those of some values, or of a raw batch, that are not missing."""
    return values.values if isinstance(values, Gappy | Partial) else values


def join(batches: Sequence[Any]) -> Any:
    """Join raw batches of one column."""
    if not any(isinstance(b, Partial) for b in batches):
        return concatenate(batches)
    parts = [b if isinstance(b, Partial) else Partial(b, np.ones(len(b), bool)) for b in batches]
    return Partial(concatenate([p.values for p in parts]), np.concatenate([p.present for p in parts]))
