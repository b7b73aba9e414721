"""From row numbers to tensors: what the episodes hold, and what a mapping shows of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples, base_modality
from mmml.data.missing import ABSENT, Gappy, Partial, join
from mmml.episodes.corruptions import MISSING
from mmml.episodes.mapping import Mapping
from mmml.episodes.sampler import Episodes
from mmml.episodes.task_augmentation import vary

Encode = Callable[[str, Any], Tensor]
"""``(modality, n raw values) -> [n, width]``."""


@dataclass(frozen=True)
class ExampleSet:
    """One side (support or query) of B episodes under a mapping.

    Attributes:
        values: by modality. Raw: a flat batch of ``B * ways * n`` values as the dataset keeps
            them. Encoded: embeddings ``[B, ways, n, width]``.
        shapes: ``(B, ways, n)`` of each modality. One per class has n = 1 where the others have
            n = shots or queries.
        encoded: the modalities whose values are embeddings, or texts as bytes.
        targets: the score of every item, float32 ``[B, ways * n]``, where samples have scores.
        ragged_labels: only where classes have different numbers of items: the label of every item of each
            modality, ``[B, n]``. Shapes are then ``(B, 1, n)``, and n is ways for what belongs to
            a class.
        copies: a modality, another, and where the embedding of the other stands for both, ``[B, ways, n]``.
        answers: what is to be found or written for every item, of a modality that ``values`` do not show.
    """

    values: dict[str, Any]
    shapes: dict[str, tuple[int, int, int]]
    encoded: frozenset[str] = frozenset()
    targets: Tensor | None = None
    ragged_labels: dict[str, Tensor] | None = None
    copies: tuple[tuple[str, str, Tensor], ...] = ()
    answers: "ExampleSet | None" = None

    @property
    def per_class(self) -> int:
        """Items of each class: the largest n of the modalities."""
        return max(n for _, _, n in self.shapes.values())

    @property
    def labels(self) -> Tensor:
        """The label (0 to ways - 1) of every item, ``[B, ways * n]``."""
        if self.ragged_labels is not None:
            return max(self.ragged_labels.values(), key=lambda labels: labels.shape[1])
        batch, ways, _ = next(iter(self.shapes.values()))
        return torch.arange(ways).repeat_interleave(self.per_class).expand(batch, -1)

    def items(self, modality: str) -> Tensor:
        """The embeddings of a modality, those of a class repeated for each of its items: ``[B, ways * n, width]``."""
        values = self._items(self.values[modality])
        for _, other, where in (c for c in self.copies if c[0] == modality):
            values = torch.where(
                self._items(where.to(values.device).unsqueeze(-1)), self._items(self.values[other]), values
            )
        return values

    def _items(self, values: Tensor) -> Tensor:
        if self.ragged_labels is None:
            return values.expand(-1, -1, self.per_class, -1).flatten(1, 2)
        each, labels = values.flatten(1, 2), self.labels.to(values.device)
        return each if each.shape[1] == labels.shape[1] else each[torch.arange(len(each)).unsqueeze(1), labels]

    def copied(self) -> "ExampleSet":
        """Encoded examples with copies in their place; for what belongs to a class, that of its first item."""
        values = dict(self.values)
        for modality, other, where in self.copies:
            own, copy = values[modality], self.values[other]
            copy = copy[:, :, : own.shape[2]]
            values[modality] = torch.where(where.to(own.device).unsqueeze(-1), copy, own)
        return replace(self, values=values, copies=())

    def encode(self, encoder: Encode) -> "ExampleSet":
        """Embeddings in place of what is still raw."""
        raw = {m: v for m, v in self.values.items() if m not in self.encoded}
        return self.with_embeddings({m: encoder(m, v) for m, v in raw.items()})

    def answered(self, encoder: Encode) -> "ExampleSet":
        """Embeddings in place of answers that are still raw."""
        return self if self.answers is None else replace(self, answers=self.answers.encode(encoder))

    def with_embeddings(self, embeddings: dict[str, Tensor]) -> "ExampleSet":
        """Flat embeddings ``[B * ways * n, width]`` in place of the values of some modalities."""
        shaped = {m: v.unflatten(0, self.shapes[m]) for m, v in embeddings.items()}
        return replace(self, values=self.values | shaped, encoded=self.encoded | set(shaped))

    def episode(self, number: int) -> "ExampleSet":
        """One of the episodes, of examples that are encoded."""
        one = slice(number, number + 1)
        values = {m: v[one] for m, v in self.values.items()}
        shapes = {m: (1, ways, n) for m, (_, ways, n) in self.shapes.items()}
        targets = None if self.targets is None else self.targets[one]
        ragged_labels = (
            None if self.ragged_labels is None else {m: labels[one] for m, labels in self.ragged_labels.items()}
        )
        copies = tuple((m, other, where[one]) for m, other, where in self.copies)
        answers = None if self.answers is None else self.answers.episode(number)
        return ExampleSet(values, shapes, self.encoded, targets, ragged_labels, copies, answers)

    def only(self, modalities: Iterable[str]) -> "ExampleSet":
        """The same items, showing only these modalities."""
        keep = list(modalities)
        values, shapes = ({m: d[m] for m in keep} for d in (self.values, self.shapes))
        ragged_labels = None if self.ragged_labels is None else {m: self.ragged_labels[m] for m in keep}
        copies = tuple(c for c in self.copies if {c[0], c[1]} <= set(keep))
        encoded = self.encoded & set(keep)
        return replace(self, values=values, shapes=shapes, encoded=encoded, ragged_labels=ragged_labels, copies=copies)


@dataclass(frozen=True)
class Batch:
    """B episodes with all the modalities that their mappings and their task need.

    Attributes:
        support, query: the two sides.
        mappings: that can be viewed.
        target: the modality of the answers; None where a class or a score is asked for.
    """

    support: ExampleSet
    query: ExampleSet
    mappings: tuple[Mapping, ...]
    target: str | None = None

    def view(self, mapping: Mapping) -> tuple[ExampleSet, ExampleSet]:
        """The support and the query examples that one mapping shows, with their answers."""
        return self._shown(self.support, mapping.support), self._shown(self.query, mapping.query)

    def _shown(self, side: ExampleSet, modalities: tuple[str, ...]) -> ExampleSet:
        answers = None if self.target is None else side.only([self.target])
        return replace(side.only(modalities), answers=answers)

    def encode(self, encoder: Encode) -> "Batch":
        """Embeddings in place of what is still raw, each modality of both sides in one pass."""
        sides = (self.support, self.query)
        found: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
        for modality in sorted({*self.support.values, *self.query.values}):
            raw = [(s.values[modality], f) for s, f in zip(sides, found, strict=True) if is_raw(s, modality)]
            if raw:
                embeddings = encoder(modality, join([v for v, _ in raw])).split([len(v) for v, _ in raw])
                for (_, into), embedding in zip(raw, embeddings, strict=True):
                    into[modality] = embedding
        support, query = (s.with_embeddings(f) for s, f in zip(sides, found, strict=True))
        return replace(self, support=support, query=query)


def is_raw(side: ExampleSet, modality: str) -> bool:
    """Whether a side has a modality, and not as embeddings."""
    return modality in side.values and modality not in side.encoded


def gather(samples: Samples, episodes: Episodes, mappings: Iterable[Mapping]) -> Batch:
    """Fetch the values of some episodes, corrupted if they are to be.

    Args:
        samples: the split that the episodes were drawn from; its columns may be embeddings. Its target is fetched for
            both sides.
        episodes: row numbers.
        mappings: what will be looked at; only the modalities named there are fetched.
    """
    mappings, targets = tuple(mappings), set() if samples.target is None else {samples.target}
    shown = ({m for mapping in mappings for m in mapping.support}, {m for mapping in mappings for m in mapping.query})
    modalities = (sorted(m | targets) for m in shown)
    sides = zip(("support", "query"), (episodes.support, episodes.query), modalities, strict=True)
    support, query = (_side(samples, episodes, side, rows, fetched) for side, rows, fetched in sides)
    return Batch(support, query, mappings, samples.target)


def _side(samples: Samples, episodes: Episodes, side: str, rows: np.ndarray, modalities: list[str]) -> ExampleSet:
    values, shapes, copies, corrupted = {}, {}, [], episodes.corrupted
    for modality in modalities:
        column = samples.columns[modality]
        index = column.index(rows, episodes.classes, episodes.pick)
        index = index if index.ndim == 3 else index[..., None]
        if corrupted is None:
            taken = column.values[index.ravel()]
        else:
            index = corrupted.reindex(index, side, modality)
            taken = corrupted.spoil(take(column.values, index.ravel(), column.encoded), side, modality)
            copies += corrupted.copies(index.shape, side, modality)
        if episodes.variants is not None and base_modality(modality) == "image":
            taken = varied(taken, np.broadcast_to(episodes.variants[..., None], index.shape).ravel())
        values[modality] = taken.reshape(*index.shape, -1) if column.encoded else taken
        shapes[modality] = index.shape
    targets = None if samples.targets is None else torch.from_numpy(samples.targets[rows]).flatten(1)
    encoded = frozenset(m for m in modalities if samples.columns[m].encoded)
    return ExampleSet(values, shapes, encoded, targets, copies=tuple(copies))


def varied(raw: Any, variants: np.ndarray) -> Any:
    """A raw batch of images, each in the variant of its class."""
    if isinstance(raw, Partial):
        return Partial(vary(raw.values, variants[raw.present]), raw.present)
    return vary(raw, variants)


def take(values: Any, index: np.ndarray, encoded: bool) -> Any:
    """The values at some positions, of which ``MISSING`` ones are shown by nothing."""
    missing = index == MISSING
    if not missing.any():
        return values[index]
    if encoded:
        taken = values[np.where(missing, 0, index)]
        return taken.masked_fill(torch.from_numpy(missing).to(taken.device).unsqueeze(-1), ABSENT)
    if isinstance(values, Gappy):
        missing[~missing] = ~values.present[index[~missing]]
        return Partial(values[index[~missing]].values, ~missing)
    return Partial(values[index[~missing]], ~missing)
