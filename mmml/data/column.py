"""Columns: the values of one modality, and a mask that says which of them are present."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmml.data.values import Index, Subset, Values, objects


@dataclass(frozen=True)
class Column:
    """The values of one modality, of a split or of a batch.

    Attributes:
        values: n of them, see :class:`mmml.data.values.Values`: images ``[n, H, W]`` as
            a uint8 tensor, texts ``[n]`` as an object array, files decoded on access, embeddings
            ``[n, width]``. Where a value is missing, anything may stand; it is never read.
        mask: which values are present, bool ``[n]`` on the CPU; None if all are. Embeddings with
            more leading axes (see :class:`mmml.episodes.ExampleSet`) have a mask of these axes.
        starts: only of what belongs to classes: class c owns ``values[starts[c]:starts[c + 1]]``.
        encoded: whether the values are embeddings already, or texts as bytes, ``[n, width]``.
        numbers: of the values of a split, ``[n]``, equal where the values are;
            None if that is not known.
        prepared: whether they are what an encoder's ``prepare`` gives, a tensor or
            a matrix ``[n, …]``.
    """

    values: Any
    mask: Tensor | None = None
    starts: np.ndarray | None = None
    encoded: bool = False
    prepared: bool = False
    numbers: np.ndarray | None = None

    @classmethod
    def of_scores(cls, scores: np.ndarray) -> "Column":
        """Scores ``[n]``; those that are NaN are missing."""
        values = torch.from_numpy(np.asarray(scores, np.float32))
        return cls(values, mask_of(~np.isnan(scores)), encoded=True)

    @classmethod
    def of_texts(cls, texts: Sequence[Sequence[str]]) -> "Column":
        """Per class: the texts that each class has."""
        starts = np.cumsum([0, *map(len, texts)])
        return cls(objects([text for several in texts for text in several]), starts=starts)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def per_class(self) -> bool:
        """Whether values belong to classes rather than to samples."""
        return self.starts is not None

    @property
    def positions(self) -> np.ndarray:
        """Where the values are that are present, ``[k]``."""
        return np.arange(len(self)) if self.mask is None else np.flatnonzero(self.mask.numpy())

    @property
    def present(self) -> Values:
        """The k values that are present, in their order."""
        values: Values = self.values if self.mask is None else Subset(self.values, self.positions)
        return values

    def index(self, rows: np.ndarray, classes: np.ndarray, pick: np.ndarray) -> np.ndarray:
        """Positions in ``values``, of the shape of ``rows``, or of ``classes`` if per class.

        Args:
            rows: row numbers (per sample).
            classes: class numbers (per class).
            pick: numbers in [0, 1), shaped as ``classes``, that choose among the values of a class.
        """
        if self.starts is None:
            return rows
        first = self.starts[classes]
        count = self.starts[classes + 1] - first
        return first + (pick * count).astype(np.int64)

    def take(self, index: Index, mask: Tensor | None = None) -> "Column":
        """The batch at some positions.

        Args:
            index: positions in ``values``, ``[m]``, or a slice of them.
            mask: which of these are to be present, bool ``[m]``; None for all that the column has.
        """
        if self.mask is not None:
            mask = self.mask[index] if mask is None else self.mask[index] & mask
        if mask is None:
            return replace(self, values=self.values[index], starts=None, numbers=None)
        positions = np.arange(len(self))[index][mask.numpy()]
        return replace(
            self, values=filled(self.values[positions], mask), mask=mask, starts=None, numbers=None
        )

    def change(self, change: Callable[[Any, np.ndarray], Any]) -> "Column":
        """The batch with other values in place of those present:
        ``(k values, their positions) -> k values``.
        """
        return replace(self, values=filled(change(self.present[:], self.positions), self.mask))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Column":
        """Embeddings and their mask, both changed by a function of their leading axes,
        such as an index.
        """
        mask = None if self.mask is None else change(self.mask)
        return replace(self, values=change(self.values), mask=mask)

    def embedded(self, embeddings: Tensor) -> "Column":
        """The column with an embedding of each value in its place; zeros where
        the value is missing.
        """
        return replace(self, values=embeddings, encoded=True, prepared=False)


def mask_of(present: np.ndarray) -> Tensor | None:
    """The mask of a column by which values are present, bool ``[n]``; None if all are."""
    return None if present.all() else torch.from_numpy(present)


def filled(present: Any, mask: Tensor | None) -> Any:
    """n values, of which k are present: with zeros for the others in a tensor, with None
    in an object array.
    """
    if mask is None or mask.all():
        return present
    every: Any = np.empty(len(mask), object)
    if isinstance(present, Tensor):
        every = present.new_zeros(len(mask), *present.shape[1:])
    every[np.flatnonzero(mask)] = present
    return every


def concat(batches: Sequence[Column]) -> Column:
    """Batches of one column, one after the other."""
    parts = [batch.values for batch in batches]
    values = torch.cat(parts) if isinstance(parts[0], Tensor) else np.concatenate(parts)
    full = all(batch.mask is None for batch in batches)
    return replace(
        batches[0],
        values=values,
        mask=None if full else torch.cat([is_present(b) for b in batches]),
    )


def where(condition: Tensor, first: Column, second: Column) -> Column:
    """Embeddings ``[…, width]`` and mask of the first column where a condition ``[…]`` holds,
    else of the second.
    """
    values = torch.where(
        condition.to(first.values.device).unsqueeze(-1), first.values, second.values
    )
    full = first.mask is None and second.mask is None
    mask = None if full else torch.where(condition, is_present(first), is_present(second))
    return replace(second, values=values, mask=mask)


def is_present(column: Column) -> Tensor:
    """Which values are present, also where all are: bool ``[n]``, or of all axes
    of embeddings but the last.
    """
    if column.mask is not None:
        return column.mask
    axes = column.values.shape[:-1] if column.encoded else (len(column),)
    return torch.ones(axes, dtype=torch.bool)
