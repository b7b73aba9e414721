"""Columns of values from the rows of a manifest: decoded files, texts, features."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from mmml.data.base import SCORE, Granularity, Samples
from mmml.data.column import Column, mask_of
from mmml.data.manifest.features import bad_rows
from mmml.data.manifest.meaning import TEXTS
from mmml.data.manifest.rows import ManifestRows
from mmml.data.media import FILE_MODALITIES, Limits
from mmml.data.media_cache import decode_files
from mmml.data.values import Matrix, Subset, Values, objects


class Texts:
    """Texts in columnar memory, which take a tenth of the memory of as many Python strings.

    Args:
        array: of texts; an empty cell is the empty text.
    """

    def __init__(self, array: pa.Array):
        self.array = array

    @property
    def identity(self) -> str:
        """A hash of all texts."""
        return hashlib.sha256(repr(self.array.to_pylist()).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: np.ndarray | slice) -> np.ndarray:
        if isinstance(index, slice):
            index = np.arange(len(self))[index]
        return objects([t or "" for t in self.array.take(pa.array(index)).to_pylist()])


@dataclass
class Source:
    """The values of one modality for all rows of a manifest.

    Attributes:
        values: the distinct values.
        of_row: for each row the position of its value, −1 if it has none.
    """

    values: Values
    of_row: np.ndarray


def open_sources(
    rows: ManifestRows, modalities: Collection[str], limits: Limits, matrix: Matrix | None
) -> dict[str, Source]:
    """Decode the values of some modalities; rows whose values cannot be used are added to
    ``rows.problems``.
    """
    return {m: _open(rows, m, limits, matrix) for m in sorted(modalities)}


def _open(rows: ManifestRows, modality: str, limits: Limits, matrix: Matrix | None) -> Source:
    if modality == "features" and matrix is not None:
        report_bad_rows(rows, matrix)
        return Source(matrix, rows.origin)
    if modality in TEXTS:
        codes, texts = rows.codes(modality if rows.has(modality) else "label")
        return Source(Texts(texts), codes)
    assert modality in FILE_MODALITIES
    codes, names = rows.codes(modality)
    # Files are not decoded if their rows are refused already, perhaps for their path.
    wanted = np.zeros(len(names), bool)
    kept = np.delete(codes, list(rows.problems))
    wanted[kept[kept >= 0]] = True
    paths = [rows.folder / names[i].as_py() for i in np.flatnonzero(wanted)]
    values, failures, constant = decode_files(modality, paths, limits)
    rows.note_constant(modality, [str(paths[i].relative_to(rows.folder)) for i in constant])
    position = np.full(len(names) + 1, -1)
    position[np.flatnonzero(wanted)] = np.arange(len(paths))
    of_row = position[codes]
    bad = failures | _misfits(modality, values.shapes, failures)
    for row in np.flatnonzero(np.isin(of_row, list(bad))).tolist():
        rows.problems.setdefault(row, f"{paths[of_row[row]]}: {bad[int(of_row[row])]}")
    return Source(values, of_row)


def report_gaps(
    rows: ManifestRows,
    labels: np.ndarray,
    sources: Mapping[str, Source],
    per: Mapping[str, Granularity],
    keep: bool = False,
) -> None:
    """Add a problem to each row that lacks a value, or whose class lacks a value of a modality that
    belongs to classes.

    With ``keep``, rows that lack a value get a problem only if they lack all modalities that belong
    to samples.
    """
    lacking = {
        m: source.of_row < 0 for m, source in sources.items() if per[m] is Granularity.SAMPLE
    }
    if keep and lacking:
        lacking = {" or ".join(lacking): np.all([*lacking.values()], axis=0)}
    for modality, where in lacking.items():
        rows.report(where, f"it has no {modality}")
    for modality, source in sources.items():
        if per[modality] is Granularity.CLASS:
            present = source.of_row >= 0
            present[list(rows.problems)] = False  # the values of refused rows do not count
            rows.report(unserved(labels, present), f"its class has no {modality}")


def unserved(labels: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Return which rows belong to classes without any present value, bool ``[rows]``; rows without
    a class (−1) are not included.
    """
    # The last element is for rows without a class.
    served = np.zeros(labels.max(initial=-1) + 2, bool)
    served[labels[present]] = True
    return ~served[labels] & (labels >= 0)


def report_bad_rows(rows: ManifestRows, matrix: Matrix) -> None:
    """Add a problem to each row whose features contain NaN or an infinite number."""
    rows.report(
        np.isin(rows.origin, bad_rows(matrix)), "its features hold a number that is not finite"
    )


def _misfits(modality: str, shapes: np.ndarray, failures: Mapping[int, str]) -> dict[int, str]:
    """Return an error message for each feature array whose width differs from the most frequent
    one.
    """
    good = [i for i in range(len(shapes)) if i not in failures]
    if modality != "features" or not good:
        return {}
    widths, counts = np.unique(shapes[good, -1], return_counts=True)
    usual = widths[counts.argmax()]
    return {
        i: f"it has width {shapes[i, -1]} where most have {usual}"
        for i in good
        if shapes[i, -1] != usual
    }


def declared(
    rows: ManifestRows, labels: np.ndarray, matrix: Matrix | None
) -> dict[str, Granularity]:
    """Return the modalities of a manifest with their granularity: per class if all rows of each
    class have the same value, else per sample.

    Labels are used as texts if there is no column of texts.

    Args:
        rows: of the manifest.
        labels: the class of each row, −1 for none.
        matrix: features of all rows, if they are in one matrix.
    """
    found = {m: _per(labels, rows.codes(m)[0]) for m in (*FILE_MODALITIES, *TEXTS) if rows.has(m)}
    if matrix is not None:
        found["features"] = _per(labels, rows.origin)
    if not rows.has("text") and rows.has("label"):
        found["text"] = Granularity.CLASS
    return found


def _per(labels: np.ndarray, codes: np.ndarray) -> Granularity:
    known = (labels >= 0) & (codes >= 0)
    pairs = np.unique(labels[known] * (codes.max(initial=0) + 1) + codes[known])
    return Granularity.CLASS if len(pairs) == len(np.unique(labels[known])) else Granularity.SAMPLE


def _column(
    values: Values, own: np.ndarray, labels: np.ndarray, classes: int, per: Granularity
) -> Column:
    """Build the column of rows sorted by class; ``own`` has the position of each row's value, −1
    for none.
    """
    present = own >= 0
    if per is Granularity.SAMPLE:
        return Column(Subset(values, own), mask_of(present))
    pairs = np.unique(np.stack([labels, own])[:, present], axis=1)
    return Column(
        Subset(values, pairs[1]), starts=np.searchsorted(pairs[0], np.arange(classes + 1))
    )


def make_samples(
    rows: ManifestRows,
    order: np.ndarray,
    labels: np.ndarray,
    names: list[str],
    sources: Mapping[str, Source],
    per: Mapping[str, Granularity],
    scored: bool,
) -> Samples:
    """Build the samples of some rows.

    Args:
        rows: of the manifest.
        order: positions of the rows, sorted by class.
        labels: the class of each of these rows, from 0 without gaps.
        names: of the classes.
        sources: of the modalities in use.
        per: the granularity of each modality.
        scored: whether samples have scores.
    """
    columns = {
        m: _column(s.values, s.of_row[order], labels, len(names), per[m])
        for m, s in sources.items()
    }
    extra: dict[str, Any] = {}
    if scored:
        columns[SCORE] = Column.of_scores(rows.column(SCORE).to_numpy(zero_copy_only=False)[order])
    if rows.has("group"):
        codes = rows.codes("group")[0][order]
        # A row without a group is a group of its own.
        alone = codes.max(initial=-1) + 1 + np.arange(len(codes))
        extra["groups"] = np.where(codes < 0, alone, codes)
    if rows.has("domain"):
        domains = rows.column("domain").take(pa.array(order)).to_pylist()
        extra["domains"] = np.array([d or "" for d in domains], dtype=str)
    starts = np.searchsorted(labels, np.arange(len(names) + 1))
    return Samples(names, starts, columns, ids=rows.names.take(pa.array(order)), **extra)
