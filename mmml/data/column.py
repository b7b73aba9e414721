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
        values: n values, see :class:`mmml.data.values.Values`: images ``[n, H, W]`` as a uint8
            tensor, texts ``[n]`` as an object array, files decoded on access, embeddings
            ``[n, width]``. Missing values have arbitrary content, which is never read.
        mask: which values are present, bool ``[n]`` on the CPU; None if all are. The mask of
            embeddings with more leading axes (see :class:`mmml.episodes.ExampleSet`) has the same
            axes.
        starts: only if values belong to classes: those of class c are
            ``values[starts[c]:starts[c + 1]]``.
        encoded: whether the values are embeddings, or texts as bytes, ``[n, width]``.
        numbers: a number for each value of a split, ``[n]``, the same for equal values; None if
            unknown.
        prepared: whether the values are the output of an encoder's ``prepare``: a tensor or a
            matrix ``[n, …]``.
    """

    values: Any
    mask: Tensor | None = None
    starts: np.ndarray | None = None
    encoded: bool = False
    prepared: bool = False
    numbers: np.ndarray | None = None

    @classmethod
    def of_scores(cls, scores: np.ndarray) -> "Column":
        """The column of scores ``[n]``; NaN means missing."""
        values = torch.from_numpy(np.asarray(scores, np.float32))
        return cls(values, mask_of(~np.isnan(scores)), encoded=True)

    @classmethod
    def of_texts(cls, texts: Sequence[Sequence[str]]) -> "Column":
        """The column of texts that belong to classes; ``texts`` has the texts of each class."""
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
        """The positions of the k values that are present, ``[k]``."""
        return np.arange(len(self)) if self.mask is None else np.flatnonzero(self.mask.numpy())

    @property
    def present(self) -> Values:
        """The k values that are present, in order."""
        values: Values = self.values if self.mask is None else Subset(self.values, self.positions)
        return values

    def index(self, rows: np.ndarray, classes: np.ndarray, pick: np.ndarray) -> np.ndarray:
        """Return positions in ``values``: shaped like ``rows``, or like ``classes`` if values
        belong to classes.

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
        """Return the batch of values at some positions.

        Args:
            index: positions in ``values``, ``[m]``, or a slice of them.
            mask: which of these to keep, bool ``[m]``; None keeps all that are present.
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
        """Return a batch whose present values are replaced by those that a function returns:
        ``change(k values, their positions) -> k values``.
        """
        return replace(self, values=filled(change(self.present[:], self.positions), self.mask))

    def map(self, change: Callable[[Tensor], Tensor]) -> "Column":
        """Apply a function of the leading axes, such as an index, to embeddings and to their
        mask.
        """
        mask = None if self.mask is None else change(self.mask)
        return replace(self, values=change(self.values), mask=mask)

    def embedded(self, embeddings: Tensor) -> "Column":
        """Return the column with these embeddings as values; those of missing values are zeros."""
        return replace(self, values=embeddings, encoded=True, prepared=False)


def mask_of(present: np.ndarray) -> Tensor | None:
    """Return the mask of a column from bool ``[n]``; None if all values are present."""
    return None if present.all() else torch.from_numpy(present)


def filled(present: Any, mask: Tensor | None) -> Any:
    """Return n values from the k that are present; the others are zeros in a tensor, and None in an
    object array.
    """
    if mask is None or mask.all():
        return present
    every: Any = np.empty(len(mask), object)
    if isinstance(present, Tensor):
        every = present.new_zeros(len(mask), *present.shape[1:])
    every[np.flatnonzero(mask)] = present
    return every


def concat(batches: Sequence[Column]) -> Column:
    """Concatenate batches of one column."""
    parts = [batch.values for batch in batches]
    values = torch.cat(parts) if isinstance(parts[0], Tensor) else np.concatenate(parts)
    full = all(batch.mask is None for batch in batches)
    return replace(
        batches[0],
        values=values,
        mask=None if full else torch.cat([is_present(b) for b in batches]),
    )


def where(condition: Tensor, first: Column, second: Column) -> Column:
    """Take embeddings ``[…, width]`` and their mask from the first column where the condition
    ``[…]`` is true, else from the second.
    """
    values = torch.where(
        condition.to(first.values.device).unsqueeze(-1), first.values, second.values
    )
    full = first.mask is None and second.mask is None
    mask = None if full else torch.where(condition, is_present(first), is_present(second))
    return replace(second, values=values, mask=mask)


def is_present(column: Column) -> Tensor:
    """Return which values are present as a mask, also if all are: bool ``[n]``, or with all axes of
    embeddings except the last.
    """
    if column.mask is not None:
        return column.mask
    axes = column.values.shape[:-1] if column.encoded else (len(column),)
    return torch.ones(axes, dtype=torch.bool)
