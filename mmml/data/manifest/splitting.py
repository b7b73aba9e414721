"""Which rows of a manifest are for training, validation and test."""

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
    """The rows of each split, of those to ``keep``, as the column ``split`` has them."""
    of_row = split.take(pa.array(keep))
    return {
        s: keep[pc.fill_null(pc.equal(of_row, s), False).to_numpy(zero_copy_only=False)]
        for s in SPLITS
    }


def by_class(
    keep: np.ndarray, codes: np.ndarray, names: pa.Array, seed: int, val: float, test: float
) -> dict[str, np.ndarray]:
    """Splits that have no class in common.

    Args:
        keep: positions of the rows that can be used.
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
    """Splits that share all classes, but no unit; each class gives about these fractions
    of its units.

    Args:
        keep: positions of the rows that can be used.
        codes: the class of every row.
        units: a number for every row, the same for rows that stay together.
        ids: what each row is called.
        seed: ``dataset.split_seed``.
        val: fraction of the units of each class for validation: one unit at least, unless it is 0.
        test: the same for test.
    """
    _, first, unit = np.unique(units[keep], return_index=True, return_inverse=True)
    hashes = [hashlib.sha256(f"{seed}:{ids[keep[i]]}".encode()).digest() for i in first.tolist()]
    rank = np.empty(len(first), np.int64)
    rank[sorted(range(len(first)), key=hashes.__getitem__)] = np.arange(len(first))
    of_class = np.unique(np.stack([codes[keep], unit]), axis=1)  # each class with each of its units
    starts = np.flatnonzero(np.diff(of_class[0], prepend=-1))
    split_of = np.full(len(first), UNDECIDED)
    # The smallest first: it has the least choice.
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
    """Classes with rows in some of the splits and not in all."""
    present = [np.unique(codes[rows]) for rows in splits.values()]
    classes, count = np.unique(np.concatenate(present), return_counts=True)
    return classes[count < len(present)]


def refuse_straddling(
    numbers: Mapping[str, np.ndarray], names: pa.Array, what: str, hint: str
) -> None:
    """Refuse a class or a group with rows in two splits: what is tested must never have
    been trained on.

    Args:
        numbers: of the classes (or groups) of the rows of each split; −1 for none.
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
