"""From row numbers to tensors: the values of episodes, and the modalities that a mapping shows."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples, base_modality
from mmml.data.column import Column, concat, where
from mmml.episodes.mapping import Mapping
from mmml.episodes.sampler import Episodes
from mmml.episodes.task_augmentation import vary

Encode = Callable[[str, Column], Tensor]
"""``(modality, n raw values) -> [n, width]``."""


@dataclass(frozen=True)
class ExampleSet:
    """One side (support or query) of B episodes under a mapping.

    Attributes:
        columns: by modality. Raw: a flat batch of ``B * ways * n`` values as the dataset stores
            them. Encoded: embeddings ``[B, ways, n, width]``, with a mask ``[B, ways, n]`` if some
            are missing.
        shapes: ``(B, ways, n)`` of each modality; n is the number of shots or queries, or 1 for a
            modality that belongs to classes.
        ragged_labels: only if classes have different numbers of items: the label of every item of
            each modality, ``[B, n]``. Shapes are then ``(B, 1, n)``, and n is the number of ways
            for a modality that belongs to classes.
        copies: tuples of a modality, another modality, and a mask ``[B, ways, n]`` of the items
            where the first has the embedding of the second.
        answers: the targets of all items, from a column that is not in ``columns``; None if labels
            are the targets.
    """

    columns: dict[str, Column]
    shapes: dict[str, tuple[int, int, int]]
    ragged_labels: dict[str, Tensor] | None = None
    copies: tuple[tuple[str, str, Tensor], ...] = ()
    answers: "ExampleSet | None" = None

    @classmethod
    def of(cls, columns: dict[str, Column], **about: Any) -> "ExampleSet":
        """Build a set of items without classes, from columns of equal length; ``about`` has further
        attributes.
        """
        shapes = {m: (1, 1, len(column)) for m, column in columns.items()}
        encoded = {m: shaped(c, shapes[m]) if c.encoded else c for m, c in columns.items()}
        return cls(encoded, shapes, **about)

    @property
    def values(self) -> dict[str, Any]:
        """The values of each modality, without their masks."""
        return {m: column.values for m, column in self.columns.items()}

    @property
    def per_class(self) -> int:
        """The number of items of each class: the largest n of the modalities."""
        return max(n for _, _, n in self.shapes.values())

    @property
    def labels(self) -> Tensor:
        """The label (0 to ways - 1) of every item, ``[B, ways * n]``."""
        if self.ragged_labels is not None:
            return max(self.ragged_labels.values(), key=lambda labels: labels.shape[1])
        batch, ways, _ = next(iter(self.shapes.values()))
        return torch.arange(ways).repeat_interleave(self.per_class).expand(batch, -1)

    def items(self, modality: str) -> Tensor:
        """Return the embeddings of a modality, ``[B, ways * n, width]``; those of a class are
        repeated for each of its items.
        """
        embeddings: Tensor = self.shown(modality).values
        return embeddings

    def shown(self, modality: str) -> Column:
        """Return the same as :meth:`items`, with a mask ``[B, ways * n]`` if some are missing."""
        column = self.columns[modality].map(self._items)
        for _, other, copied in (c for c in self.copies if c[0] == modality):
            column = where(self._items(copied), self.columns[other].map(self._items), column)
        return column

    def _items(self, values: Tensor) -> Tensor:
        if self.ragged_labels is None:
            return values.expand(-1, -1, self.per_class, *values.shape[3:]).flatten(1, 2)
        each, labels = values.flatten(1, 2), self.labels.to(values.device)
        return (
            each
            if each.shape[1] == labels.shape[1]
            else each[torch.arange(len(each)).unsqueeze(1), labels]
        )

    def copied(self) -> "ExampleSet":
        """Return encoded examples with the embeddings of ``copies`` replaced; a modality of classes
        takes that of the first item.
        """
        columns = dict(self.columns)
        for modality, other, copied in self.copies:
            columns[modality] = where(
                copied, first_items(self.columns[other], copied.shape[2]), columns[modality]
            )
        return replace(self, columns=columns, copies=())

    def encode(self, encoder: Encode) -> "ExampleSet":
        """Return the same examples with raw values replaced by embeddings."""
        return self.with_embeddings(
            {m: encoder(m, c) for m, c in self.columns.items() if not c.encoded}
        )

    def answered(self, encoder: Encode) -> "ExampleSet":
        """Return the same examples with the answers encoded."""
        return self if self.answers is None else replace(self, answers=self.answers.encode(encoder))

    def with_embeddings(self, embeddings: dict[str, Tensor]) -> "ExampleSet":
        """Return the same examples with embeddings ``[B * ways * n, width]`` as the values of some
        modalities.
        """
        encoded = {
            m: shaped(self.columns[m].embedded(v), self.shapes[m]) for m, v in embeddings.items()
        }
        return replace(self, columns=self.columns | encoded)

    def episode(self, number: int) -> "ExampleSet":
        """Return a single episode of encoded examples."""
        one = slice(number, number + 1)
        columns = {m: c.map(lambda t: t[one]) for m, c in self.columns.items()}
        shapes = {m: (1, ways, n) for m, (_, ways, n) in self.shapes.items()}
        ragged_labels = (
            None
            if self.ragged_labels is None
            else {m: labels[one] for m, labels in self.ragged_labels.items()}
        )
        copies = tuple((m, other, copied[one]) for m, other, copied in self.copies)
        answers = None if self.answers is None else self.answers.episode(number)
        return ExampleSet(columns, shapes, ragged_labels, copies, answers)

    def only(self, modalities: Iterable[str]) -> "ExampleSet":
        """Return the same items with only these modalities."""
        keep = list(modalities)
        columns, shapes = {m: self.columns[m] for m in keep}, {m: self.shapes[m] for m in keep}
        ragged_labels = (
            None if self.ragged_labels is None else {m: self.ragged_labels[m] for m in keep}
        )
        copies = tuple(c for c in self.copies if {c[0], c[1]} <= set(keep))
        return replace(
            self, columns=columns, shapes=shapes, ragged_labels=ragged_labels, copies=copies
        )


@dataclass(frozen=True)
class Batch:
    """B episodes with all modalities that their mappings and their task need.

    Attributes:
        support, query: the two sides.
        mappings: the mappings whose modalities are included.
        target: the column of the answers; None if labels are the answers.
    """

    support: ExampleSet
    query: ExampleSet
    mappings: tuple[Mapping, ...]
    target: str | None = None

    def view(self, mapping: Mapping) -> tuple[ExampleSet, ExampleSet]:
        """Return the support and the query examples with the modalities of one mapping, and with
        their answers.
        """
        return self._shown(self.support, mapping.support), self._shown(self.query, mapping.query)

    def _shown(self, side: ExampleSet, modalities: tuple[str, ...]) -> ExampleSet:
        answers = None if self.target is None else side.only([self.target])
        return replace(side.only(modalities), answers=answers)

    def encode(self, encoder: Encode) -> "Batch":
        """Return the same episodes with raw values replaced by embeddings; each modality of both
        sides is encoded in one pass.
        """
        sides = (self.support, self.query)
        found: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        for modality in sorted({*self.support.columns, *self.query.columns}):
            raw = [
                (s.columns[modality], f)
                for s, f in zip(sides, found, strict=True)
                if is_raw(s, modality)
            ]
            if raw:
                embeddings = encoder(modality, concat([c for c, _ in raw])).split(
                    [len(c) for c, _ in raw]
                )
                for (_, into), embedding in zip(raw, embeddings, strict=True):
                    into[modality] = embedding
        support, query = (s.with_embeddings(f) for s, f in zip(sides, found, strict=True))
        return replace(self, support=support, query=query)


def is_raw(side: ExampleSet, modality: str) -> bool:
    """Whether a side has a modality whose values are not encoded yet."""
    return modality in side.columns and not side.columns[modality].encoded


def shaped(column: Column, shape: tuple[int, ...]) -> Column:
    """Reshape embeddings ``[B * ways * n, width]`` and their mask to ``[B, ways, n, width]`` and
    ``[B, ways, n]``.
    """
    return column.map(lambda t: t.unflatten(0, shape))


def first_items(column: Column, n: int) -> Column:
    """Return the embeddings of the first n items of each class, ``[B, ways, n, width]``."""
    return column.map(lambda t: t[:, :, :n])


def gather(
    samples: Samples, episodes: Episodes, mappings: Iterable[Mapping], target: str | None = None
) -> Batch:
    """Collect the values of some episodes, and apply their corruptions.

    Args:
        samples: the split that the episodes were drawn from; its columns may be embeddings.
        episodes: row numbers.
        mappings: the mappings to be used; only their modalities are collected.
        target: the column of the answers, which are collected for both sides; None if labels are
            the answers.
    """
    mappings, targets = tuple(mappings), set() if target is None else {target}
    shown = (
        {m for mapping in mappings for m in mapping.support},
        {m for mapping in mappings for m in mapping.query},
    )
    modalities = (sorted(m | targets) for m in shown)
    sides = zip(("support", "query"), (episodes.support, episodes.query), modalities, strict=True)
    support, query = (
        _side(samples, episodes, side, rows, fetched) for side, rows, fetched in sides
    )
    return Batch(support, query, mappings, target)


def _side(
    samples: Samples, episodes: Episodes, side: str, rows: np.ndarray, modalities: list[str]
) -> ExampleSet:
    columns, shapes, copies, corrupted = {}, {}, [], episodes.corrupted
    for modality in modalities:
        column = samples.columns[modality]
        index = column.index(rows, episodes.classes, episodes.pick)
        index = index if index.ndim == 3 else index[..., None]
        if corrupted is None:
            taken = column.take(index.ravel())
        else:
            index, mask = corrupted.reindex(index, side, modality)
            taken = corrupted.corrupt(column.take(index.ravel(), mask), side, modality)
            copies += corrupted.copies(index.shape, side, modality)
        if episodes.variants is not None and base_modality(modality) == "image":
            variants = np.broadcast_to(episodes.variants[..., None], index.shape).ravel()
            taken = varied(taken, variants)
        columns[modality] = shaped(taken, index.shape) if column.encoded else taken
        shapes[modality] = index.shape
    return ExampleSet(columns, shapes, copies=tuple(copies))


def varied(images: Column, variants: np.ndarray) -> Column:
    """Apply task augmentation to a batch of images; ``variants`` has the variant of each class."""
    return images.change(lambda present, at: vary(present, variants[at]))
