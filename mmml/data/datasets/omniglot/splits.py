"""Omniglot's published splits, by character."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmml.data.base import SPLITS, shuffled
from mmml.errors import UserError

# Numbers of characters of the random split; the other 172 are for validation.
TRAIN, TEST = 1028, 423
VALIDATION = 5  # number of background alphabets for validation
EVALUATION = (
    *(
        "Angelic",
        "Atemayar_Qelisayer",
        "Atlantean",
        "Aurek-Besh",
        "Avesta",
        "Ge_ez",
        "Glagolitic",
        "Gurmukhi",
    ),
    *(
        "Kannada",
        "Keble",
        "Malayalam",
        "Manipuri",
        "Mongolian",
        "Old_Church_Slavonic_(Cyrillic)",
        "Oriya",
    ),
    *("Sylheti", "Syriac_(Serto)", "Tengwar", "Tibetan", "ULOG"),
)
MINIMAL = {
    "small1": ("Balinese", "Early_Aramaic", "Greek", "Korean", "Latin"),
    "small2": ("Greek", "Japanese_(katakana)", "Latin", "Sanskrit", "Tagalog"),
}
ALPHABETS = ("background", *MINIMAL)
FILES = "splits_vinyals_style"  # the folder of the split of Vinyals et al.
KINDS = ("random", "vinyals", *ALPHABETS)


def split_characters(
    kind: str, names: Sequence[str], seed: int, folder: Path
) -> dict[str, list[int]]:
    """Split characters: positions in ``names`` for train, val and test.

    Args:
        kind: one of ``KINDS``.
        names: of all characters, such as ``Greek/character03``.
        seed: of the random parts of a split.
        folder: of the dataset; splits of kind ``vinyals`` are read from it.
    """
    if kind == "random":
        order = shuffled(names, seed)
        bounds = np.cumsum([0, TRAIN, len(names) - TRAIN - TEST, TEST])
        return {s: sorted(order[bounds[i] : bounds[i + 1]]) for i, s in enumerate(SPLITS)}
    parts = of_files(folder) if kind == "vinyals" else of_alphabets(kind, names, seed)
    return {
        split: [i for i, name in enumerate(names) if name in part] for split, part in parts.items()
    }


def of_alphabets(kind: str, names: Sequence[str], seed: int) -> dict[str, set[str]]:
    """Split by whole alphabets: evaluation alphabets for test; background alphabets outside
    training for validation.
    """
    background = sorted({n.split("/")[0] for n in names} - set(EVALUATION))
    left_out = {background[i] for i in shuffled(background, seed)[:VALIDATION]}
    train = set(MINIMAL.get(kind, set(background) - left_out))
    val = set(background) - train
    of = {"train": train, "val": val, "test": set(EVALUATION)}
    return {
        split: {n for n in names if n.split("/")[0] in alphabets} for split, alphabets in of.items()
    }


def of_files(folder: Path) -> dict[str, set[str]]:
    """Read the split of Vinyals et al. (2016); characters of ``trainval.txt`` that are not in
    ``train.txt`` are for validation.
    """
    found = {}
    for name in ("train", "trainval", "test"):
        path = folder / FILES / f"{name}.txt"
        if not path.is_file():
            raise UserError(f"dataset.split=vinyals: {path} is missing: run mmml-data get omniglot")
        found[name] = {line.rsplit("/", 1)[0] for line in path.read_text().split()}
    return {
        "train": found["train"],
        "val": found["trainval"] - found["train"],
        "test": found["test"],
    }
