"""Corruptions of episodes: missing, noisy, mismatched and redundant modalities.

They are applied after rows are drawn, with random numbers of the episode's own, so that all
learners receive the same values. A larger amount corrupts the same items as a smaller one, and
more; only typos are drawn independently for each amount.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch

from mmml.data.base import base_modality
from mmml.data.column import Column, mask_of
from mmml.data.values import objects
from mmml.errors import UserError, require
from mmml.registry import Registry

corruptions = Registry("corruption", "mmml.episodes")

SIDES = ("support", "query", "both")
LOUDEST = 100  # largest signal-to-noise ratio in dB, positive or negative
FIRST = 16  # first purpose of random numbers for corruptions, see Sampler.generator


def ends(value: float | list[float]) -> tuple[float, float]:
    """Return the two ends of a range, which are equal for a single number; NaN for a list without
    two elements.
    """
    several = value if isinstance(value, list) else [value, value]
    return (several[0], several[1]) if len(several) == 2 else (np.nan, np.nan)


class Corruption:
    """Corrupts one modality of an episode; this base class changes nothing.

    Args:
        modality: the modality to corrupt.
        amount: from 0 (no change) to 1; or a range, from which an amount is drawn for each side of
            each episode.
        side: ``support``, ``query`` or ``both``.

    Class attributes:
        kinds: the modalities that it can corrupt.
        corrupts_values: whether it changes values, rather than the choice of values.
        removes_values: whether it removes values.

    Attributes:
        of: another modality, whose embeddings replace this one's where ``duplicates`` is true; or
            None.
    """

    of: str | None = None

    kinds: ClassVar[Sequence[str]] = ("image", "text", "audio", "video", "strokes", "features")
    corrupts_values: ClassVar[bool] = False
    removes_values: ClassVar[bool] = False

    def __init__(self, modality: str, amount: float | list[float], side: str):
        require(
            base_modality(modality) in self.kinds,
            "modality",
            modality,
            f"one of {', '.join(self.kinds)}",
        )
        low, high = ends(amount)
        ok = 0 <= low <= high <= 1
        require(ok, "amount", amount, "from 0 to 1, or two such numbers, from where to where")
        require(side in SIDES, "side", side, f"one of {', '.join(SIDES)}")
        self.modality, self.side, self.amount, self.most = modality, side, low, high

    def in_episode(self, rng: np.random.Generator) -> "Corruption":
        """Return the same corruption with the amount of one side of one episode."""
        if self.amount == self.most:
            return self
        one = copy.copy(self)
        one.amount = one.most = rng.uniform(self.amount, self.most)
        return one

    def reindex(
        self, index: np.ndarray, present: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Choose the values of one side of an episode.

        Args:
            index: positions of the values, ``[items]``.
            present: which of them are present, bool ``[items]``.
            rng: of the episode.

        Returns:
            The new positions and the new mask.
        """
        return index, present

    def corrupt(self, value: Any, rng: np.random.Generator) -> Any:
        """Corrupt one value in the dataset's form, an array or a text."""
        return value

    def duplicates(self, items: int, rng: np.random.Generator) -> np.ndarray:
        """Return which items of one side of an episode get the embedding of their other modality,
        bool ``[items]``.
        """
        return np.zeros(items, bool)


@corruptions.register("missing")
class Missing(Corruption):
    """Removes the modality from a share ``amount`` of the items."""

    removes_values = True

    def reindex(
        self, index: np.ndarray, present: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        return index, present & (rng.random(len(index)) >= self.amount)


@corruptions.register("mismatched")
class Mismatched(Corruption):
    """Replaces the value of a share ``amount`` of the items by that of another one of them, such as
    a wrong text for an image.
    """

    def reindex(
        self, index: np.ndarray, present: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        luck, order = rng.random(len(index)), rng.permutation(len(index))
        chosen = order[luck[order] < self.amount]
        alone = len(chosen) == 1 < len(index)
        source = np.arange(len(index))
        source[chosen] = order[order != chosen][-1:] if alone else np.roll(chosen, 1)
        return index[source], present[source]


@corruptions.register("redundant")
class Redundant(Corruption):
    """Replaces the embedding of a share ``amount`` of the items by that of another modality, so
    that the modality adds no information.

    Args:
        of: the other modality; mappings without one of the two modalities are unchanged.
        modality, amount, side: see :class:`Corruption`.
    """

    def __init__(self, modality: str, amount: float | list[float], side: str, of: str):
        super().__init__(modality, amount, side)
        self.of = of

    def duplicates(self, items: int, rng: np.random.Generator) -> np.ndarray:
        return rng.random(items) < self.amount


class ValueCorruption(Corruption, ABC):
    """The base class of corruptions that change values."""

    corrupts_values = True

    @abstractmethod
    def corrupt(self, value: Any, rng: np.random.Generator) -> Any:
        """See :class:`Corruption`."""


@corruptions.register("noise")
class Noise(ValueCorruption):
    """Adds Gaussian noise, whose standard deviation is ``amount`` times that of the value.

    For images and videos, it is ``amount`` times the range from black to white. For audio, the
    signal-to-noise ratio is −20 · log10(amount) dB: 20 at 0.1, 0 at 1. Steps of features that are
    zero throughout are missing, and stay zero.
    """

    kinds: ClassVar[Sequence[str]] = ("image", "audio", "video", "strokes", "features")

    def corrupt(self, value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = self.amount * rng.standard_normal(value.shape, np.float32)
        if value.dtype == np.uint8:
            return np.clip(value + 255 * noise, 0, 255).round().astype(np.uint8)
        if base_modality(self.modality) == "strokes":  # time and stroke number stay
            spread = value[:, :2].std()
            return np.concatenate([value[:, :2] + spread * noise[:, :2], value[:, 2:]], axis=1)
        if base_modality(self.modality) == "audio":
            return value + (np.sqrt(np.square(value).mean()) * noise).astype(value.dtype)
        present = value.any(axis=-1) if value.ndim == 2 else np.ones(len(value), bool)
        if not present.any():
            return value
        noise[~present] = 0
        shown = value[present]  # a single step has no deviation over time
        return value + ((shown.std(axis=0) if len(shown) > 1 else shown.std()) * noise).astype(
            value.dtype
        )


@corruptions.register("audio_noise")
class AudioNoise(Noise):
    """Adds Gaussian noise to audio, at a signal-to-noise ratio.

    Args:
        snr: in dB; or a range.
        modality, side: see :class:`Corruption`.
    """

    kinds = ("audio",)

    def __init__(self, modality: str, snr: float | list[float], side: str):
        super().__init__(modality, 0.0, side)
        self.snr = low, high = ends(snr)
        ok = -LOUDEST <= low <= high <= LOUDEST
        require(
            ok,
            "snr",
            snr,
            f"a number of dB from -{LOUDEST} to {LOUDEST}, or two, from where to where",
        )

    def in_episode(self, rng: np.random.Generator) -> "Corruption":
        one = copy.copy(self)
        one.amount = one.most = 10 ** (-rng.uniform(*self.snr) / 20)
        return one


@corruptions.register("occlusion")
class Occlusion(ValueCorruption):
    """Covers a rectangle, a share ``amount`` of the image's area, at a random position, in black or
    white.
    """

    kinds = ("image", "video")

    def corrupt(self, value: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        height, width = value.shape[-2:]
        sides = [round(side * self.amount**0.5) for side in (height, width)]
        top, left = (
            int(rng.random() * (full - s + 1))
            for full, s in zip((height, width), sides, strict=True)
        )
        covered = value.copy()
        covered[..., top : top + sides[0], left : left + sides[1]] = 255 * (rng.random() < 0.5)
        return covered


@corruptions.register("typos")
class Typos(ValueCorruption):
    """Adds typos to a share ``amount`` of the characters: deletes or doubles them, swaps them with
    the next, or replaces them by another letter.
    """

    kinds = ("text",)

    def corrupt(self, value: str, rng: np.random.Generator) -> str:
        characters = list(value)
        for i in np.flatnonzero(rng.random(len(value)) < self.amount):
            how = rng.integers(4)
            if how == 3 and i + 1 < len(characters):
                characters[i], characters[i + 1] = characters[i + 1], characters[i]
            else:
                characters[i] = ("", 2 * characters[i], chr(rng.integers(ord("a"), ord("z") + 1)))[
                    how % 3
                ]
        return "".join(characters)


SeededCorruption = tuple[Corruption, np.random.Generator]


@dataclass(frozen=True)
class Corrupted:
    """The corruptions of some episodes.

    Attributes:
        corruptions: applied one after the other.
        numbers: of the episodes.
        generator: see :meth:`mmml.episodes.sampler.Sampler.generator`.
    """

    corruptions: Sequence[Corruption]
    numbers: Sequence[int]
    generator: Callable[[int, int], np.random.Generator]

    def reindex(
        self, index: np.ndarray, side: str, modality: str
    ) -> tuple[np.ndarray, torch.Tensor | None]:
        """Return the corrupted positions ``[B, ways, n]``, and the mask ``[B * ways * n]`` of
        values that are left.
        """
        shape = index.shape
        index = index.reshape(len(index), -1)
        present = np.ones(index.shape, bool)
        for several in self._on(side, modality, lambda c: not c.corrupts_values):
            shown = [
                c.reindex(i, p, rng) for i, p, (c, rng) in zip(index, present, several, strict=True)
            ]
            index, present = map(np.stack, zip(*shown, strict=True))
        return index.reshape(shape), mask_of(present.ravel())

    def corrupt(self, batch: Column, side: str, modality: str) -> Column:
        """Return a batch of B episodes with its values corrupted."""
        for several in self._on(side, modality, lambda c: c.corrupts_values):
            batch = batch.change(partial(_corrupted, several, len(batch)))
        return batch

    def copies(
        self, shape: Sequence[int], side: str, modality: str
    ) -> list[tuple[str, str, torch.Tensor]]:
        """Return tuples of the modality, another modality, and the items where the modality gets
        the embedding of the other, bool ``[B, ways, n]``.
        """
        found = []
        for several in self._on(side, modality, lambda c: c.of is not None):
            where = np.stack([c.duplicates(shape[1] * shape[2], rng) for c, rng in several])
            found.append((modality, str(several[0][0].of), torch.from_numpy(where.reshape(shape))))
        return found

    def _on(
        self, side: str, modality: str, wanted: Callable[[Corruption], bool]
    ) -> list[list[SeededCorruption]]:
        """Return the corruptions of a modality on one side: for each corruption a list with its
        version and random numbers for every episode.
        """
        found = []
        for k, corruption in enumerate(self.corruptions):
            if (
                corruption.modality == modality
                and corruption.side in (side, "both")
                and wanted(corruption)
            ):
                generators = [
                    self.generator(n, FIRST + 2 * k + SIDES.index(side)) for n in self.numbers
                ]
                found.append([(corruption.in_episode(rng), rng) for rng in generators])
        return found


def _corrupted(
    corruptions: Sequence[SeededCorruption], items: int, raw: Any, positions: np.ndarray
) -> Any:
    """Corrupt raw values at some positions among the items of all episodes, each by its own
    episode's version of the corruption.
    """
    values = raw.numpy() if isinstance(raw, torch.Tensor) else raw
    several = [corruptions[i] for i in positions * len(corruptions) // items]
    parts = [
        corruption.corrupt(value, rng)
        for value, (corruption, rng) in zip(values, several, strict=True)
    ]
    if isinstance(raw, torch.Tensor):
        return torch.from_numpy(np.stack(parts)) if parts else raw
    return objects(parts)


def corrupted_modalities(several: Iterable[Corruption]) -> set[str]:
    """Return the modalities whose values some corruptions change."""
    return {c.modality for c in several if c.corrupts_values}


def build_corruptions(sections: Sequence[Mapping[str, Any]], where: str) -> tuple[Corruption, ...]:
    """Build the corruptions of ``episode.train.corruptions`` or ``episode.eval.corruptions``."""
    found = []
    for i, section in enumerate(sections):
        if not isinstance(section, Mapping):
            raise UserError(
                f"{where}={section}: write a list such as [{{name: missing, modality: "
                "text, amount: 0.5}]"
            )
        try:
            found.append(
                corruptions.build_section({"side": "both"} | dict(section), f"{where}[{i}]")
            )
        except UserError as error:  # of a value, without the option's prefix
            message = str(error)
            raise UserError(
                message if message.startswith(where) else f"{where}[{i}].{message}"
            ) from None
    return tuple(found)
