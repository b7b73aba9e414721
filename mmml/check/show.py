"""``mmml-data show``: print the content of one of mmml's datasets."""

from collections.abc import Sequence

import numpy as np
from rich.table import Table

from mmml.config.compose import compose_plain
from mmml.data.base import Dataset, Samples, datasets
from mmml.errors import UserError
from mmml.terminal import plain_console

EXAMPLES = 3  # classes whose names are printed


def show(name: str, overrides: Sequence[str]) -> int:
    """Load a dataset and print its content; returns the exit code.

    Args:
        name: of the dataset.
        overrides: of its options, such as ``dataset.size=64``.
    """
    datasets.get(name, "dataset")
    if other := [o for o in overrides if not o.startswith("dataset.")]:
        raise UserError(
            f"{other[0]}: mmml-data show takes options of the dataset alone, dataset.key=value"
        )
    dataset: Dataset = datasets.build_section(
        compose_plain([f"dataset={name}", *overrides])["dataset"], "dataset"
    )
    splits, lacking = load(dataset)
    console = plain_console()
    console.print(table_of(name, splits))
    if message := alike(splits):
        console.print(message)
    for modality, per in dataset.modalities.items():
        message = lacking.get(modality, f"one for each {per.value}{gaps(splits, modality)}")
        console.print(f"{modality}: {message}")
    for split, samples in splits.items():
        console.print(f"{split} classes: {'; '.join(samples.classes[:EXAMPLES])} …")
    console.print(f"commands that train on it: conf/dataset/{name}.yaml")
    return 0


def load(dataset: Dataset) -> tuple[dict[str, Samples], dict[str, str]]:
    """Return the splits with all modalities that can be loaded, and the errors of the others."""
    try:
        return dataset.load(dataset.modalities), {}
    except UserError as error:
        if len(dataset.modalities) == 1:
            raise
        first = error
    lacking: dict[str, str] = {}
    for modality in dataset.modalities:
        try:
            dataset.load([modality])
        except UserError as error:
            lacking[modality] = str(error)
    if not lacking or len(lacking) == len(dataset.modalities):
        raise first
    return dataset.load([m for m in dataset.modalities if m not in lacking]), lacking


def table_of(name: str, splits: dict[str, Samples]) -> Table:
    """Return a table with a line for each split."""
    table = Table(
        "split",
        "classes",
        "samples",
        "of each class",
        "superclasses",
        "domains",
        title=name,
        box=None,
    )
    for split, samples in splits.items():
        counts = samples.counts
        least, most = (int(counts.min()), int(counts.max())) if len(counts) else (0, 0)
        table.add_row(
            split,
            f"{len(samples.classes):,}",
            f"{int(counts.sum()):,}",
            str(least) if least == most else f"{least} to {most}",
            "" if samples.superclasses is None else str(len(np.unique(samples.superclasses))),
            "" if samples.domains is None else ", ".join(np.unique(samples.domains).tolist()[:6]),
        )
    return table


def alike(splits: dict[str, Samples]) -> str:
    """Say how many samples have an equal one, and in how many classes; empty if there are none."""
    parts = []
    for split, samples in splits.items():
        if (numbers := samples.duplicates) is not None:
            shared = np.bincount(numbers)[numbers] > 1
            classes = len(np.unique(samples.labels[shared]))
            parts.append(f"{split} {int(shared.sum()):,} samples of {classes:,} classes")
    if not parts:
        return ""
    return f"identical samples, never on both sides of an episode: {', '.join(parts)}"


def gaps(splits: dict[str, Samples], modality: str) -> str:
    """Say which percentage of samples lacks a modality; empty if none does."""
    columns = [s.columns[modality] for s in splits.values() if modality in s.columns]
    all_of_them = sum(map(len, columns))
    lacking = all_of_them - sum(len(c.present) for c in columns)
    return f", missing in {100 * lacking / all_of_them:.0f} %" if lacking else ""
