"""Properties of media files: sizes, durations, and files with equal content."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from mmml.check.issue import SHOWN, Issue
from mmml.data.datasets.manifest import Manifest
from mmml.data.manifest.files import is_file
from mmml.data.manifest.meaning import TEXTS
from mmml.data.media import FILE_MODALITIES, probe
from mmml.errors import ExpectedError, many

PROBED = 2000  # the largest number of files whose headers are read, evenly spaced


def files_of(dataset: Manifest, modality: str) -> tuple[np.ndarray, list[Path]]:
    """Return the number of each row's file, −1 for none, and the distinct files."""
    codes, names = dataset.rows.codes(modality)
    return codes, [dataset.rows.folder / n for n in names.to_pylist()]


def is_inside(dataset: Manifest, path: Path) -> bool:
    """Whether a path is a regular file below the manifest's folder."""
    return ".." not in path.parts and path.is_relative_to(dataset.rows.folder) and is_file(path)


def sizes(dataset: Manifest, modality: str) -> dict[str, Any]:
    """Return the number of a modality's values and their sizes, as ``values`` and ``sizes`` for a
    table.
    """
    rows = dataset.rows
    if modality == "features" and dataset.matrix is not None:
        return {"values": len(rows), "sizes": "×".join(map(str, dataset.matrix.array.shape[1:]))}
    if modality in TEXTS:
        texts = rows.codes(modality if rows.has(modality) else "label")[1].to_pylist()
        return {"values": len(texts), "sizes": _range([len(t) for t in texts], "character(s)")}
    assert modality in FILE_MODALITIES
    _, files = files_of(dataset, modality)
    chosen = (
        np.unique(np.linspace(0, len(files) - 1, min(PROBED, len(files))).astype(int)).tolist()
        if files
        else []
    )
    facts = [
        f for i in chosen if is_inside(dataset, files[i]) and (f := _probe(modality, files[i]))
    ]
    return {"values": len(files), "sizes": _summary(modality, facts)}


def _probe(modality: str, path: Path) -> dict[str, Any] | None:
    try:
        return probe(modality, path)
    except ExpectedError:
        return None


def _summary(modality: str, facts: list[dict[str, Any]]) -> str:
    units = {
        "seconds": "seconds",
        "rate": "Hz",
        "width": "wide",
        "height": "high",
        "steps": "steps",
        "points": "points",
    }
    wanted = {
        "image": ("width", "height"),
        "audio": ("seconds", "rate"),
        "video": ("seconds", "width", "height"),
        "strokes": ("points",),
        "features": ("steps", "width"),
    }[modality]
    return (
        ", ".join(_range([f[k] for f in facts if k in f], units[k]) for k in wanted)
        if facts
        else ""
    )


def _range(values: list[float], unit: str) -> str:
    if not values:
        return ""
    low, middle, high = (
        f"{v:.3g}" if v < 100 else f"{v:.0f}"
        for v in (min(values), float(np.median(values)), max(values))
    )
    return f"{low} {unit}" if low == high else f"{low} – {high} {unit} (median {middle})"


def duplicates(dataset: Manifest) -> Iterable[Issue]:
    """Report different files with the same content, first of all those in different classes."""
    labels, _ = dataset.labels
    for modality in FILE_MODALITIES:
        if not dataset.rows.has(modality):
            continue
        codes, files = files_of(dataset, modality)
        same: dict[bytes, list[int]] = defaultdict(list)
        for number, path in enumerate(files):
            content = _digest(path) if is_inside(dataset, path) else None
            if content:
                same[content].append(number)
        twins = [several for several in same.values() if len(several) > 1]
        if not twins:
            continue
        classes_of: dict[int, set[int]] = defaultdict(set)
        for code, label in zip(codes.tolist(), labels.tolist(), strict=True):
            classes_of[code].add(label)
        across = [t for t in twins if len(set().union(*(classes_of[n] for n in t)) - {-1}) > 1]
        messages = tuple(
            " = ".join(str(files[n].relative_to(dataset.rows.folder)) for n in t)
            for t in (across or twins)[:SHOWN]
        )
        what = f"{many(len(twins), 'group')} of {modality} files have the same content"
        what += f", {len(across)} of them across classes" if across else ""
        yield Issue(
            False,
            what,
            "keep one of each, or give them one group: a copy in support and query "
            "makes scores too good",
            messages,
        )


def _digest(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None
