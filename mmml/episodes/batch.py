"""From row numbers to tensors: what the episodes hold, and what a mapping shows of them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from mmml.datasets import Samples
from mmml.episodes.mapping import Mapping
from mmml.episodes.sampler import Episodes


@dataclass(frozen=True)
class Examples:
    """One side (support or query) of B episodes under a mapping.

    Attributes:
        values: by modality. Raw: a flat batch of ``B * ways * n`` values as the dataset keeps
            them, with their ``shape``. Encoded: embeddings ``[B, ways, n, width]``. A modality
            per class has n = 1 where the others have n = shots or queries.
        shapes: ``(B, ways, n)`` of each modality.
        encoded: whether the values are embeddings.
    """

    values: dict[str, Any]
    shapes: dict[str, tuple[int, int, int]]
    encoded: bool = False

    @property
    def per_class(self) -> int:
        """Items of each class: the largest n of the modalities."""
        return max(n for _, _, n in self.shapes.values())

    @property
    def slots(self) -> Tensor:
        """The label slot (0 to ways - 1) of every item, ``[B, ways * n]``."""
        batch, ways, _ = next(iter(self.shapes.values()))
        return torch.arange(ways).repeat_interleave(self.per_class).expand(batch, -1)

    def encode(self, encoder: Callable[[str, Any], Tensor]) -> "Examples":
        """Embeddings in place of raw values; ``encoder`` is ``(modality, raw values) -> [n, width]``."""
        if self.encoded:
            return self
        values = {m: encoder(m, v).unflatten(0, self.shapes[m]) for m, v in self.values.items()}
        return replace(self, values=values, encoded=True)

    def only(self, modalities: Iterable[str]) -> "Examples":
        """The same items, showing only these modalities."""
        keep = list(modalities)
        return replace(self, values={m: self.values[m] for m in keep}, shapes={m: self.shapes[m] for m in keep})


@dataclass(frozen=True)
class Batch:
    """B episodes with all the modalities that their mappings need."""

    support: Examples
    query: Examples
    mappings: tuple[Mapping, ...]

    def view(self, mapping: Mapping) -> tuple[Examples, Examples]:
        """The support and the query examples that one mapping shows."""
        return self.support.only(mapping.support), self.query.only(mapping.query)


def gather(samples: Samples, episodes: Episodes, mappings: Iterable[Mapping], encoded: bool = False) -> Batch:
    """Fetch the values of some episodes.

    Args:
        samples: the split that the episodes were drawn from.
        episodes: row numbers.
        mappings: what will be looked at; only the modalities named there are fetched.
        encoded: the columns hold embeddings (``[n, width]`` tensors) instead of raw values.
    """
    mappings = tuple(mappings)
    support = sorted({m for mapping in mappings for m in mapping.support})
    query = sorted({m for mapping in mappings for m in mapping.query})
    return Batch(
        _side(samples, episodes, episodes.support, support, encoded),
        _side(samples, episodes, episodes.query, query, encoded),
        mappings,
    )


def _side(samples: Samples, episodes: Episodes, rows: Any, modalities: list[str], encoded: bool) -> Examples:
    values, shapes = {}, {}
    for modality in modalities:
        column = samples.columns[modality]
        index = column.index(rows, episodes.classes, episodes.pick)
        index = index if index.ndim == 3 else index[..., None]
        taken = column.values[index.ravel()]
        values[modality] = taken.reshape(*index.shape, -1) if encoded else taken
        shapes[modality] = index.shape
    return Examples(values, shapes, encoded)


def encode(batch: Batch, encoder: Callable[[str, Any], Tensor]) -> Batch:
    """Replace raw values by embeddings, each modality of both sides in one pass.

    Args:
        batch: raw episodes (returned as they are if encoded already).
        encoder: ``(modality, raw values) -> [n, width]``.
    """
    if batch.support.encoded:
        return batch
    sides = (batch.support, batch.query)
    values: tuple[dict[str, Tensor], dict[str, Tensor]] = ({}, {})
    for modality in sorted({*batch.support.values, *batch.query.values}):
        held = [(s, v) for s, v in zip(sides, values, strict=True) if modality in s.values]
        parts = [s.values[modality] for s, _ in held]
        embeddings = encoder(modality, concatenate(parts)).split([len(p) for p in parts])
        for (side, out), embedding in zip(held, embeddings, strict=True):
            out[modality] = embedding.unflatten(0, side.shapes[modality])
    support, query = (replace(s, values=v, encoded=True) for s, v in zip(sides, values, strict=True))
    return Batch(support, query, batch.mappings)


def concatenate(parts: list[Any]) -> Any:
    """Join raw batches of one modality: tensors, or object arrays of texts."""
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], Tensor):
        return torch.cat(parts)
    import numpy as np

    return np.concatenate(parts)
