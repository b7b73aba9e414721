"""What a dataset gives: for each split, labelled rows with one column per modality."""

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
"""The column of scores: numbers that belong to samples, and no modality."""
MODALITIES = ("image", "text", "audio", "video", "strokes", "features")


def base_modality(modality: str) -> str:
    """Which of ``MODALITIES`` a modality is: some may be there twice, such as ``audio_features``,
    ``source_text``.
    """
    several = [kind for kind in ("features", "text") if modality.endswith(f"_{kind}")]
    return several[0] if several else modality


class Granularity(Enum):
    """Whether a modality is declared for each sample (a photograph) or each class (its name)."""

    SAMPLE = "sample"
    CLASS = "class"


@dataclass(frozen=True)
class OfficialEpisodes:
    """Episodes that a benchmark prescribes, E of one shape, by numbers of classes and
    rows of a split.

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
        ids: what each row is called, an Arrow array of texts ``[rows]``; None if
            rows have no names.
        groups: a number for each row, ``[rows]``; rows of one group are near duplicates
            of one another.
        duplicates: a number for each row, ``[rows]``; rows of one number hold the same value
            of some modality, and never stand on both sides of an episode. None if no two rows do.
        superclasses: a number for each class, ``[classes]``: of its alphabet, its kind;
            None if there are none.
        domains: what each row comes from (an artwork, a language), texts ``[rows]``;
            None if that is unknown.
        query_only: which rows may only be queries, where all others may only be support,
            bool ``[rows]``; None if every row may be either.
        footage: the videos whose frames the rows are; None if they are none.
        keyframes: which frames of a video say most, bool ``[rows, frames]``; None if nobody knows.
        official_episodes: those that a benchmark prescribes for this split, if it does.
        kept_apart: of training and validation what they show besides classes (speakers,
            characters in scenes), of the test what of that is new in it.
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
        """Samples in each class, ``[classes]``."""
        return np.diff(self.starts)

    @property
    def labels(self) -> np.ndarray:
        """The class number of every row, ``[rows]``."""
        return np.repeat(np.arange(len(self.classes)), self.counts)

    def with_embeddings(self, embeddings: Mapping[str, Any]) -> "Samples":
        """The same rows with embeddings ``[n, width]`` in place of the values of these modalities,
        and no others.
        """
        columns = {m: self.columns[m].embedded(v) for m, v in embeddings.items()}
        return replace(self, columns=columns)


class Dataset(ABC):
    """A source of samples. Constructing one is cheap; ``load`` does the work.

    Class attributes:
        name: what the dataset is called in configs and results.
        modalities: what its samples hold, known before loading so that a config can be checked.
        scored: whether its samples have scores.
        new_classes: whether the classes of validation and test are new; else only
            their samples are.
        labelled: whether samples show which class they are of; else classes only say what
            scores are about.
        skipped: after loading, a sentence for each sample that was left out as unusable.
        notes: after loading, what is worth knowing of the files, in one sentence each.
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
        """Tells its classes from those of the same name in other datasets."""
        return self.name

    def check(self) -> None:  # noqa: B027  (most need no check)
        """Refuse a dataset that no run can use, before any other check."""

    @abstractmethod
    def load(self, modalities: Collection[str]) -> dict[str, Samples]:
        """The samples of each split: ``train``, ``val`` and ``test``.

        Args:
            modalities: those in use, ``score`` among them where scores are; the columns
                of others may be left out.
        """


def check_held_out(
    val: Sequence[Any], test: Sequence[Any], among: Sequence[Any], what: str
) -> None:
    """Refuse what is held out if it is none of what there is, nothing, or in both splits.

    Args:
        val: of the option ``dataset.val_<what>``.
        test: of the option ``dataset.test_<what>``.
        among: what there is.
        what: it is called, in the plural.
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
    """Class-disjoint splits: positions in ``classes`` for train, val and test, in their order.

    A class that comes or goes moves few of the others.

    Args:
        classes: class identifiers.
        seed: ``dataset.split_seed``.
        val: fraction of the classes for validation, in (0, 1).
        test: the same for test; some must be left for training.
        together: a number for each class, ``[classes]``; classes of one number go to one split,
            and the fractions are of these numbers. None if every class may go anywhere.
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
    """Refuse fractions that leave nothing for one of the splits."""
    if not (val > 0 and test > 0 and val + test < 1):
        raise UserError(
            f"split fractions val={val} and test={test} must be positive and sum to less than 1"
        )


def shuffled(classes: Sequence[str], seed: int) -> list[int]:
    """Positions in ``classes``, ranked by a hash of the seed and the identifier:
    no library's version matters.
    """
    return sorted(
        range(len(classes)), key=lambda i: hashlib.sha256(f"{seed}:{classes[i]}".encode()).digest()
    )
