"""The sampler of episodes: episode i is a pure function of (seed, split, i), without state.

So one integer is enough to resume, ranks and workers never draw the same episode by accident, and
methods can be compared on identical episodes.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mmml.data.base import OfficialEpisodes, Samples
from mmml.episodes.corruptions import Corrupted, Corruption
from mmml.episodes.groups import Sides, draw_apart, meeting, sides_of
from mmml.episodes.task_augmentation import draw_variants
from mmml.errors import UserError

DRAWS = 20  # attempts to draw classes whose groups can be kept disjoint
VARIANTS = 2  # the purpose of random numbers that choose variants, see Sampler.generator


@dataclass(frozen=True)
class EpisodeShape:
    """Ways, shots and queries (per class) of an episode."""

    ways: int
    shots: int
    queries: int


@dataclass(frozen=True)
class Episodes:
    """B episodes of one shape, as numbers of classes and rows of a split.

    Attributes:
        shape: shared by all of them.
        classes: ``[B, ways]``, in random order, so that labels carry no information on classes.
        support: rows, ``[B, ways, shots]``.
        query: rows, ``[B, ways, queries]``; none is a support row.
        pick: ``[B, ways]`` in [0, 1), selects one of several values of a class (its names).
        corrupted: the corruptions of the episodes; None without corruptions.
        variants: of the images of each class, ``[B, ways]``, see
            :mod:`mmml.episodes.task_augmentation`; None without task augmentation.
    """

    shape: EpisodeShape
    classes: np.ndarray
    support: np.ndarray
    query: np.ndarray
    pick: np.ndarray
    corrupted: Corrupted | None = None
    variants: np.ndarray | None = None


@dataclass(frozen=True)
class RowPool:
    """The rows that may be on one side of an episode.

    Attributes:
        rows: in order, ``[n]``.
        starts: the rows of class c are ``rows[starts[c]:starts[c + 1]]``.
    """

    rows: np.ndarray
    starts: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """The number of rows of each class."""
        return np.diff(self.starts)

    def draw(self, rng: np.random.Generator, classes: np.ndarray, k: int) -> np.ndarray:
        """Draw k different rows of each class, ``[classes, k]``."""
        drawn = self.starts[classes][:, None] + distinct(rng, self.counts[classes], k)
        # The minimum is for classes without rows here, for which the result is not used.
        return self.rows[np.minimum(drawn, len(self.rows) - 1)]


class Sampler:
    """Draws the episodes of one split.

    Args:
        samples: the rows of the split. Groups and duplicates, if there are any, are on one side of
            an episode only. If classes have superclasses, an episode has classes of one superclass.
            If some rows are only for queries, the others are only for the support set.
        seed: ``seed`` for training episodes, ``evaluation.seed`` for validation and test.
        split: its name; splits have different episodes under the same seed.
        among: numbers of the classes to draw from; None for all.
        corruptions: applied to the episodes, one after the other.
        task_augmentation: the share of the classes of an episode that are shown in a variant.
    """

    def __init__(
        self,
        samples: Samples,
        seed: int,
        split: str,
        among: np.ndarray | None = None,
        corruptions: Sequence[Corruption] = (),
        task_augmentation: float = 0.0,
    ):
        self.samples = samples
        self.seed = seed
        self.split = split
        self.corruptions = corruptions
        self.task_augmentation = task_augmentation
        self.among = np.arange(len(samples.classes)) if among is None else among
        self.kinds = [self.among]
        if samples.superclasses is not None:
            superclasses = samples.superclasses[self.among]
            self.kinds = [self.among[superclasses == kind] for kind in np.unique(superclasses)]
        self.sides: list[RowPool] = []  # for the support set and for queries, if they differ
        if samples.query_only is not None:
            own = map(np.flatnonzero, (~samples.query_only, samples.query_only))
            self.sides = [RowPool(rows, np.searchsorted(rows, samples.starts)) for rows in own]
        self._key = zlib.crc32(split.encode())

    def generator(self, i: int, purpose: int = 0) -> np.random.Generator:
        """Return the random numbers of episode (or step) i; each purpose has its own."""
        return np.random.Generator(
            np.random.Philox(key=[self.seed, self._key], counter=[0, purpose, 0, i])
        )

    def draw(self, numbers: Iterable[int], shape: EpisodeShape) -> Episodes:
        """Draw the episodes of these numbers, stacked."""
        numbers = [*numbers]
        corrupted = (
            Corrupted(self.corruptions, numbers, self.generator) if self.corruptions else None
        )
        if self.samples.official_episodes is not None:
            return replace(
                official_episodes(self.samples.official_episodes, np.array(numbers)),
                corrupted=corrupted,
            )
        parts = [self._one(self.generator(i), shape) for i in numbers]
        classes, support, query, pick = (np.stack(p) for p in zip(*parts, strict=True))
        return Episodes(
            shape, classes, support, query, pick, corrupted, self._variants(numbers, shape.ways)
        )

    def _variants(self, numbers: Sequence[int], ways: int) -> np.ndarray | None:
        if not self.task_augmentation:
            return None
        return np.stack(
            [
                draw_variants(self.generator(i, VARIANTS), ways, self.task_augmentation)
                for i in numbers
            ]
        )

    def at_most(self, episodes: int) -> int:
        """Return the number of episodes, at most that of the official episodes if they are used."""
        prescribed = self.samples.official_episodes
        return episodes if prescribed is None else min(episodes, len(prescribed.classes))

    def check(self, shape: EpisodeShape, where: str) -> None:
        """Raise ``UserError`` for a shape that this split cannot fill; the message names the class
        that is too small.

        If shots or queries are 0, that side has only modalities of classes and needs no samples.
        """
        samples, need = self.samples, shape.shots + shape.queries
        if samples.official_episodes is not None:
            check_official(samples.official_episodes, shape, where)
            return
        most = max(map(len, self.kinds))
        if shape.ways > most:
            one = "" if samples.superclasses is None else "any one superclass of "
            raise UserError(
                f"{where}.ways={shape.ways} is more than the {most} classes of {one}the "
                f"{self.split} split"
            )
        for name, n, side in zip(
            ("shots", "queries"), (shape.shots, shape.queries), self.sides, strict=False
        ):
            small = int(self.among[side.counts[self.among].argmin()])
            if side.counts[small] < n:
                raise UserError(
                    f"{where}: {name}={n}, but class {samples.classes[small]!r} of the "
                    f"{self.split} split has {side.counts[small]} samples for that with "
                    "episode.eval.query_domain"
                )
        small = int(self.among[samples.counts[self.among].argmin()])
        if samples.counts[small] < need:
            raise UserError(
                f"{where}: shots={shape.shots} plus queries={shape.queries} need {need} samples "
                f"of a class, but class {samples.classes[small]!r} of the {self.split} split has "
                f"{samples.counts[small]}; ask for fewer"
            )
        if samples.groups is not None:
            self._check_apart(self.among, [samples.groups], shape, where)
            self.draw([0], shape)
        if (numbers := samples.duplicates) is not None:
            shared = np.unique(samples.labels[np.bincount(numbers)[numbers] > 1])
            self._check_apart(np.intersect1d(shared, self.among), [numbers], shape, where)

    def _check_apart(
        self, classes: np.ndarray, numberings: list[np.ndarray], shape: EpisodeShape, where: str
    ) -> None:
        """Raise ``UserError`` if the rows of one of these classes cannot be split into disjoint
        sides.
        """
        for c in classes:
            if self._draw_disjoint(self.generator(0), np.array([c]), shape, numberings) is None:
                raise UserError(f"{where}: {self._too_few(repr(self.samples.classes[c]), shape)}")

    def _draw_disjoint(
        self,
        rng: np.random.Generator,
        classes: np.ndarray,
        shape: EpisodeShape,
        numberings: list[np.ndarray],
        bound: Sides | None = None,
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Draw support and query rows of these classes without a common number; None if there are
        none.
        """
        starts, query_only = self.samples.starts, self.samples.query_only
        rows = [np.arange(starts[c], starts[c + 1]) for c in classes]
        return draw_apart(rng, rows, numberings, shape.shots, shape.queries, query_only, bound)

    def _too_few(self, whose: str, shape: EpisodeShape) -> str:
        disjoint = {"groups": self.samples.groups, "identical samples": self.samples.duplicates}
        kinds = " and ".join(kind for kind, numbers in disjoint.items() if numbers is not None)
        return (
            f"{kinds} never stand on both sides of an episode, and the {kinds} of {whose} "
            f"of the {self.split} split cannot be shared out between shots={shape.shots} and "
            f"queries={shape.queries}; ask for fewer"
        )

    def _classes(self, rng: np.random.Generator, ways: int) -> np.ndarray:
        """Draw different classes in random order, so that labels do not follow the order of
        classes.
        """
        large = [kind for kind in self.kinds if len(kind) >= ways]
        kind = large[rng.integers(len(large))] if len(large) > 1 else large[0]
        return rng.choice(kind, ways, replace=False)

    def _one(self, rng: np.random.Generator, shape: EpisodeShape) -> tuple[np.ndarray, ...]:
        """Draw one episode; if the rows of its classes cannot be split into disjoint sides, draw
        other classes.
        """
        for _ in range(DRAWS):
            classes = self._classes(rng, shape.ways)
            if (rows := self._rows(rng, classes, shape)) is not None:
                return (classes, *rows, rng.random(shape.ways))
        raise UserError(f"episode: {self._too_few(f'any {shape.ways} classes', shape)}")

    def _rows(
        self, rng: np.random.Generator, classes: np.ndarray, shape: EpisodeShape
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Draw support and query rows of some classes; None if near duplicates cannot be kept on
        one side.
        """
        groups, duplicates = self.samples.groups, self.samples.duplicates
        if groups is not None:
            return self._draw_disjoint(
                rng, classes, shape, [groups] if duplicates is None else [groups, duplicates]
            )
        support, query = self._any_rows(rng, classes, shape)
        if duplicates is None:
            return support, query
        # Classes with fewer samples repeat rows on both sides anyway.
        enough = self.samples.counts[classes] >= shape.shots + shape.queries
        if (again := meeting(duplicates, support, query) & enough).any():
            bound = sides_of(duplicates, support[~again], query[~again])
            found = self._draw_disjoint(rng, classes[again], shape, [duplicates], bound)
            if found is None:
                return None
            support[again], query[again] = found
        return support, query

    def _any_rows(
        self, rng: np.random.Generator, classes: np.ndarray, shape: EpisodeShape
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw different rows of each class."""
        if self.sides:
            support, query = (
                side.draw(rng, classes, n)
                for side, n in zip(self.sides, (shape.shots, shape.queries), strict=True)
            )
            return support, query
        first = self.samples.starts[classes]
        counts = self.samples.starts[classes + 1] - first
        rows = first[:, None] + distinct(rng, counts, shape.shots + shape.queries)
        return rows[:, : shape.shots], rows[:, shape.shots :]


def of_one_class(support: np.ndarray, query: np.ndarray) -> Episodes:
    """Return an episode of one class with these support rows ``[s]`` and query rows ``[q]``."""
    shape, nothing = EpisodeShape(1, len(support), len(query)), np.zeros((1, 1))
    return Episodes(
        shape, nothing.astype(np.int64), support[None, None], query[None, None], nothing
    )


def official_episodes(prescribed: OfficialEpisodes, numbers: np.ndarray) -> Episodes:
    """Return official episodes; a class shows the first of its own values."""
    classes, support, query = (
        rows[numbers] for rows in (prescribed.classes, prescribed.support, prescribed.query)
    )
    return Episodes(shape_of(prescribed), classes, support, query, np.zeros(classes.shape))


def shape_of(prescribed: OfficialEpisodes) -> EpisodeShape:
    """The shape of all official episodes of a benchmark."""
    return EpisodeShape(
        prescribed.classes.shape[1], prescribed.support.shape[2], prescribed.query.shape[2]
    )


def check_official(prescribed: OfficialEpisodes, shape: EpisodeShape, where: str) -> None:
    """Raise ``UserError`` if the shape is not that of the official episodes."""
    needed = shape_of(prescribed)
    if shape != needed:
        raise UserError(
            f"{where}.official_episodes=true: the official episodes have ways={needed.ways}, "
            f"shots={needed.shots}, queries={needed.queries}; set these, "
            "or official_episodes=false"
        )


def distinct(rng: np.random.Generator, counts: np.ndarray, k: int) -> np.ndarray:
    """Draw k different numbers below the count of each class, in random order: ``[classes, k]``.

    By Floyd's algorithm (Bentley and Floyd, 1987), for all classes at once, and a shuffle: the cost
    does not depend on the number of samples of a class. A class with fewer than k samples repeats
    some, for mappings without modalities of samples (:meth:`Sampler.check` refuses other mappings).
    """
    top = np.maximum(counts[:, None] - k + np.arange(k), 0)
    drawn = (rng.random(top.shape) * (top + 1)).astype(np.int64)
    for j in range(1, k):
        taken = (drawn[:, :j] == drawn[:, j : j + 1]).any(axis=1)
        drawn[taken, j] = top[taken, j]
    return rng.permuted(drawn, axis=1)


def choose_int(rng: np.random.Generator, value: "int | dict[str, int]") -> int:
    """Return an integer as it is, or draw one from the range ``{min, max}`` (both ends
    included).
    """
    return value if isinstance(value, int) else int(rng.integers(value["min"], value["max"] + 1))
