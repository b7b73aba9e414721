"""Splitting the rows of a manifest into training, validation and test."""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmml.data.base import SPLITS, split_classes
from mmml.errors import UserError

BY_SAMPLE = "dataset.split_by=sample"
TRAIN, VAL, TEST = range(3)
UNDECIDED = -1


def declared(split: pa.Array, keep: np.ndarray) -> dict[str, np.ndarray]:
    """Return the rows of each split, among those to ``keep``, as given by the column ``split``."""
    of_row = split.take(pa.array(keep))
    return {
        s: keep[pc.fill_null(pc.equal(of_row, s), False).to_numpy(zero_copy_only=False)]
        for s in SPLITS
    }


def by_class(
    keep: np.ndarray, codes: np.ndarray, names: pa.Array, seed: int, val: float, test: float
) -> dict[str, np.ndarray]:
    """Split rows by class, so that no class is in two splits.

    Args:
        keep: positions of the usable rows.
        codes: the class of every row.
        names: of the classes.
        seed: ``dataset.split_seed``.
        val: fraction of the classes for validation.
        test: the same for test.
    """
    present = np.unique(codes[keep])
    if len(present) < len(SPLITS):
        raise UserError(
            f"{len(present)} classes cannot be split into train, val and test; give more of them, "
            f"or split the rows of each class by {BY_SAMPLE}"
        )
    split_of = np.zeros(len(names), np.int8)
    chosen = split_classes([names[int(c)].as_py() for c in present], seed, val, test)
    for number, s in enumerate(SPLITS):
        split_of[present[chosen[s]]] = number
    return {s: keep[split_of[codes[keep]] == number] for number, s in enumerate(SPLITS)}


def by_sample(
    keep: np.ndarray,
    codes: np.ndarray,
    units: np.ndarray,
    ids: Sequence[str],
    seed: int,
    val: float,
    test: float,
) -> dict[str, np.ndarray]:
    """Split the rows of each class, so that all splits have the same classes and no unit is in two
    splits.

    Args:
        keep: positions of the usable rows.
        codes: the class of every row.
        units: a number for every row, the same for rows that must be in one split.
        ids: the name of each row.
        seed: ``dataset.split_seed``.
        val: approximate fraction of the units of each class for validation: at least one unit,
            unless it is 0.
        test: the same for test.
    """
    _, first, unit = np.unique(units[keep], return_index=True, return_inverse=True)
    hashes = [hashlib.sha256(f"{seed}:{ids[keep[i]]}".encode()).digest() for i in first.tolist()]
    rank = np.empty(len(first), np.int64)
    rank[sorted(range(len(first)), key=hashes.__getitem__)] = np.arange(len(first))
    of_class = np.unique(np.stack([codes[keep], unit]), axis=1)  # pairs of class and unit
    starts = np.flatnonzero(np.diff(of_class[0], prepend=-1))
    split_of = np.full(len(first), UNDECIDED)
    # Small classes first, since they have the fewest units to choose from.
    for own in sorted(np.split(of_class[1], starts[1:]), key=len):
        free = own[split_of[own] == UNDECIDED]
        free = free[rank[free].argsort()]
        for number, fraction in ((TEST, test), (VAL, val)):
            wanted = max(1, round(fraction * len(own))) if fraction else 0
            taken = free[: max(0, wanted - int((split_of[own] == number).sum()))]
            split_of[taken], free = number, free[len(taken) :]
        split_of[free] = TRAIN
    return {s: keep[split_of[unit] == number] for number, s in enumerate(SPLITS)}


def unspread(splits: Mapping[str, np.ndarray], codes: np.ndarray) -> np.ndarray:
    """Return the classes that have rows in some of the splits, but not in all."""
    present = [np.unique(codes[rows]) for rows in splits.values()]
    classes, count = np.unique(np.concatenate(present), return_counts=True)
    return classes[count < len(present)]


def refuse_straddling(
    numbers: Mapping[str, np.ndarray], names: pa.Array, what: str, hint: str
) -> None:
    """Raise ``UserError`` if a class or a group has rows in two splits.

    Args:
        numbers: the classes (or groups) of the rows of each split; −1 for none.
        names: of the classes (or groups).
        what: ``class`` or ``group``.
        hint: the end of the message.
    """
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        both = np.setdiff1d(np.intersect1d(numbers[a], numbers[b]), [-1])
        if len(both):
            raise UserError(
                f"{what} {names[int(both[0])].as_py()!r} is in split {a} and in split {b}"
                f"{f', and {len(both) - 1} more are' if len(both) > 1 else ''}; {hint}"
            )
