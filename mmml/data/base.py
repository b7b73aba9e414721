"""The interface of datasets: each split has labelled rows with one column per modality."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, ClassVar

import numpy as np

from mmml.data.annotated_video import Footage
from mmml.data.column import Column
from mmml.errors import UserError, did_you_mean
from mmml.registry import Registry

datasets = Registry("dataset", "mmml.data.datasets")

SPLITS = ("train", "val", "test")
SCORE = "score"
"""The column of scores, which are numbers of samples; it is not a modality."""
MODALITIES = ("image", "text", "audio", "video", "strokes", "features")


def base_modality(modality: str) -> str:
    """The kind of a modality, one of ``MODALITIES``: ``features`` for ``audio_features``, ``text``
    for ``source_text``.
    """
    several = [kind for kind in ("features", "text") if modality.endswith(f"_{kind}")]
    return several[0] if several else modality


class Granularity(Enum):
    """Whether a modality has a value for each sample (a photograph) or each class (its name)."""

    SAMPLE = "sample"
    CLASS = "class"


@dataclass(frozen=True)
class OfficialEpisodes:
    """Episodes that a benchmark prescribes: E of one shape, as numbers of classes and rows of a
    split.

    Attributes:
        classes: ``[E, ways]``.
        support: rows, ``[E, ways, shots]``.
        query: rows, ``[E, ways, queries]``.
    """

    classes: np.ndarray
    support: np.ndarray
    query: np.ndarray


@dataclass(frozen=True)
class Samples:
    """The rows of one split, sorted by class.

    Attributes:
        classes: the class identifiers, unique within the dataset.
        starts: class c owns the rows ``starts[c]`` to ``starts[c + 1]`` (``[classes + 1]``).
        columns: by modality; scores, if there are any, are the column ``score``,
            float32 ``[rows]``.
        ids: the name of each row, an Arrow array of texts ``[rows]``; None if rows have no names.
        groups: a number for each row, ``[rows]``; rows with one number are near duplicates of one
            another.
        duplicates: a number for each row, ``[rows]``; rows with one number have the same value of
            some modality, and never occur in both the support set and the queries of an episode.
            None if no two rows have the same value.
        superclasses: a number for each class, ``[classes]``, such as that of its alphabet; None if
            classes have no superclasses.
        domains: the origin of each row (an artwork, a language), texts ``[rows]``; None if unknown.
        query_only: rows that may only be queries, while all others may only be in the support set,
            bool ``[rows]``; None if every row may be either.
        footage: the videos whose frames the rows are; None if rows are not frames.
        keyframes: the key frames of each row's video, bool ``[rows, frames]``; None if unknown.
        official_episodes: the episodes that a benchmark prescribes for this split; None without
            such a benchmark.
        kept_apart: identifiers of what is held out besides classes (speakers, characters of
            scenes): for training and validation all that occur, for test only the new ones.
    """

    classes: list[str]
    starts: np.ndarray
    columns: Mapping[str, Column]
    ids: Any = None
    groups: np.ndarray | None = None
    duplicates: np.ndarray | None = None
    superclasses: np.ndarray | None = None
    domains: np.ndarray | None = None
    query_only: np.ndarray | None = None
    keyframes: np.ndarray | None = None
    footage: Sequence[Footage] | None = None
    official_episodes: OfficialEpisodes | None = None
    kept_apart: Sequence[str] = ()

    @property
    def counts(self) -> np.ndarray:
        """The number of samples of each class, ``[classes]``."""
        return np.diff(self.starts)

    @property
    def labels(self) -> np.ndarray:
        """The class number of every row, ``[rows]``."""
        return np.repeat(np.arange(len(self.classes)), self.counts)

    def with_embeddings(self, embeddings: Mapping[str, Any]) -> "Samples":
        """Return the same rows with only these modalities, as embeddings ``[n, width]``."""
        columns = {m: self.columns[m].embedded(v) for m, v in embeddings.items()}
        return replace(self, columns=columns)


class Dataset(ABC):
    """A source of samples. Constructing one is cheap; ``load`` does the work.

    Class attributes:
        name: of the dataset in configs and results.
        modalities: of the samples, known before loading so that a config can be checked.
        scored: whether its samples have scores.
        new_classes: whether the classes of validation and test do not occur in training; otherwise
            only their samples are new.
        labelled: whether samples show their class; otherwise a class only says what its samples'
            scores measure.
        skipped: after loading, a sentence for each unusable sample that was left out.
        notes: after loading, remarks on the files, in one sentence each.
    """

    name: ClassVar[str]
    modalities: Mapping[str, Granularity]
    scored: bool = False
    labelled: bool = True
    new_classes: bool = True
    skipped: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def identity(self) -> str:
        """A prefix that makes class names unique among datasets."""
        return self.name

    def check(self) -> None:  # noqa: B027  (most need no check)
        """Raise ``UserError`` if no run can use this dataset; called before all other checks."""

    @abstractmethod
    def load(self, modalities: Collection[str]) -> dict[str, Samples]:
        """The samples of each split: ``train``, ``val`` and ``test``.

        Args:
            modalities: the ones to load, with ``score`` for scores; other columns may be left out.
        """


def check_held_out(
    val: Sequence[Any], test: Sequence[Any], among: Sequence[Any], what: str
) -> None:
    """Raise ``UserError`` unless the held-out values exist, are not empty, and differ between
    splits.

    Args:
        val: value of the option ``dataset.val_<what>``.
        test: value of the option ``dataset.test_<what>``.
        among: all values that exist.
        what: the plural name of the values, such as ``digits``.
    """
    for split, several in (("val", val), ("test", test)):
        for one in several or [""]:
            if one not in among:
                message = (
                    "must be some of "
                    f"{', '.join(map(str, among))}{did_you_mean(str(one), [*map(str, among)])}"
                )
                raise UserError(f"dataset.{split}_{what}={list(several)} {message}")
    if both := [one for one in test if one in val]:
        raise UserError(
            f"dataset.test_{what}={list(test)}: {both[0]} is among dataset.val_{what} too"
        )


def split_classes(
    classes: Sequence[str], seed: int, val: float, test: float, together: np.ndarray | None = None
) -> dict[str, list[int]]:
    """Return class-disjoint splits: positions in ``classes`` for train, val and test, in order.

    Adding or removing a class changes the split of few other classes.

    Args:
        classes: class identifiers.
        seed: ``dataset.split_seed``.
        val: fraction of the classes for validation, in (0, 1).
        test: fraction of the classes for test; some classes must be left for training.
        together: a number for each class, ``[classes]``; classes with one number go to the same
            split, and the fractions count these numbers. None if classes are split independently.
    """
    check_fractions(val, test)
    if together is not None:
        _, firsts, unit = np.unique(together, return_index=True, return_inverse=True)
        split = split_classes([classes[i] for i in firsts], seed, val, test)
        return {name: np.flatnonzero(np.isin(unit, part)).tolist() for name, part in split.items()}
    order = shuffled(classes, seed)
    if len(order) < len(SPLITS):
        raise UserError(
            f"{len(order)} classes cannot be split into train, val and test; give more of them"
        )
    n_val, n_test = max(1, round(val * len(order))), max(1, round(test * len(order)))
    parts = {
        "val": order[:n_val],
        "test": order[n_val : n_val + n_test],
        "train": order[n_val + n_test :],
    }
    return {split: sorted(parts[split]) for split in SPLITS}


def check_fractions(val: float, test: float) -> None:
    """Raise ``UserError`` if the fractions leave one of the splits empty."""
    if not (val > 0 and test > 0 and val + test < 1):
        raise UserError(
            f"split fractions val={val} and test={test} must be positive and sum to less than 1"
        )


def shuffled(classes: Sequence[str], seed: int) -> list[int]:
    """Return positions in ``classes``, sorted by a hash of the seed and the identifier, which no
    version of a library changes.
    """
    return sorted(
        range(len(classes)), key=lambda i: hashlib.sha256(f"{seed}:{classes[i]}".encode()).digest()
    )
