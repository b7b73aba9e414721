"""Support sets and queries from files of the user."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch

from mmml.data.base import SCORE, Granularity, Samples
from mmml.data.column import Column
from mmml.data.manifest.columns import (
    Texts,
    declared,
    make_samples,
    open_sources,
    report_bad_rows,
    report_gaps,
)
from mmml.data.manifest.features import load_matrix, vector_column
from mmml.data.manifest.meaning import TEXTS
from mmml.data.manifest.reading import read_rows
from mmml.data.manifest.rows import ManifestRows
from mmml.data.media import FILE_MODALITIES, Limits, is_constant
from mmml.data.media.pool import Failure, Pool
from mmml.data.values import Matrix, objects
from mmml.episodes import ExampleSet
from mmml.errors import UserError
from mmml.files import expanded


@dataclass(frozen=True)
class Reading:
    """How files are read.

    Attributes:
        columns: the tables' own names for columns.
        features: a ``.npy`` matrix beside each table; None if features come otherwise
            or not at all.
        limits: what media are decoded to.
        skip: leave out support samples that cannot be used.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    features: str | None = None
    limits: Limits = field(default_factory=Limits)
    skip: bool = False

    def rows(self, path: str, option: str, targets: bool) -> ManifestRows:
        """The table of a folder or manifest, see :func:`mmml.data.manifest.read_rows`."""
        return read_rows(path, option, self.columns, self.features is not None, targets)

    def matrix(self, rows: ManifestRows) -> Matrix | None:
        """Features for all rows, if they come as one matrix."""
        if self.features is None:
            return vector_column(rows.path)
        return load_matrix(rows.folder / expanded(self.features), "predict.features", rows)


class Support:
    """A support set: every row of a manifest, labelled (or each a class of its own).

    Args:
        path: of the manifest or folder.
        reading: how files are read.
        one_way: whether all rows form one class, as for regression.
    """

    def __init__(self, path: str, reading: Reading, one_way: bool):
        self.reading = reading
        self.rows = reading.rows(path, "support", targets=True)
        self.matrix = reading.matrix(self.rows)
        codes, names = self.rows.classes()
        self.codes = np.zeros_like(codes) if one_way else codes
        self.names: list[str] = ["all"] if one_way else names.to_pylist()
        self.per = declared(self.rows, self.codes, self.matrix)
        if one_way:  # a score belongs to a sample, though all show the same
            self.per = {
                m: Granularity.SAMPLE for m in self.per if self.rows.has(m) or m == "features"
            }

    @property
    def comparable(self) -> set[str]:
        """The modalities that may be on both sides: not those that are the same for all
        samples of a class.
        """
        several = len(self.codes) > len(self.names)
        complete = {
            m for m in self.per if not self.rows.has(m) or self.rows.column(m).null_count == 0
        }
        return {m for m in complete if self.per[m] is Granularity.SAMPLE or not several}

    def samples(self, modalities: Collection[str]) -> Samples:
        """All rows with these modalities, and their scores if ``score`` is among them.

        Raises:
            UserError: naming the first row that cannot be used.
        """
        scored = SCORE in modalities
        if scored:
            self.rows.report(pc.is_null(self.rows.column(SCORE)), "it has no score")
        sources = open_sources(self.rows, {*modalities} - {SCORE}, self.reading.limits, self.matrix)
        report_gaps(self.rows, self.codes, sources, self.per)
        problems = sorted(self.rows.problems.items())
        if problems and (not self.reading.skip or len(problems) == len(self.rows)):
            i, why = problems[0]
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            hint = "fix it, or leave such rows out by predict.on_bad_sample=skip"
            raise UserError(f"support: {self.rows.name_row(i)}: {why}{more}; {hint}")
        keep = np.delete(np.arange(len(self.rows)), [i for i, _ in problems])
        order = keep[np.argsort(self.codes[keep], kind="stable")]
        present, labels = np.unique(self.codes[order], return_inverse=True)
        return make_samples(
            self.rows, order, labels, [self.names[c] for c in present], sources, self.per, scored
        )


def whole_support(samples: Samples, modalities: Collection[str]) -> ExampleSet:
    """All samples as one support set, however many each class has.

    Args:
        samples: raw or encoded.
        modalities: shown.
    """
    columns, labels = {}, {}
    for modality in sorted(modalities):
        column = samples.columns[modality]
        counts = samples.counts if column.starts is None else np.diff(column.starts)
        if column.starts is None:
            index = np.arange(len(column))
        else:
            if (counts == 0).any():
                raise UserError(
                    f"support: class {samples.classes[int(counts.argmin())]!r} has no {modality}"
                )
            index, counts = column.starts[:-1], np.ones_like(counts)  # the first of a class's names
        columns[modality] = column.take(index)
        labels[modality] = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))[None]
    return ExampleSet.of(columns, ragged_labels=labels)


@dataclass
class Chunk:
    """Some queries.

    Attributes:
        rows: their positions in the manifest.
        examples: those that could be read, as one query set.
        problems: why the others could not, by position.
    """

    rows: np.ndarray
    examples: ExampleSet
    problems: dict[int, str]


class Queries:
    """The rows of a manifest, read some at a time.

    Args:
        path: of the manifest or folder.
        reading: how files are read.

    Attributes:
        constant: by modality, the files that were read so far and decode to one value throughout.
    """

    def __init__(self, path: str, reading: Reading):
        self.reading = reading
        self.rows = reading.rows(path, "query", targets=False)
        self.matrix = reading.matrix(self.rows)
        self._like: tuple[int, int] | None = None
        self.constant: dict[str, list[str]] = {}
        self.modalities = {m for m in (*FILE_MODALITIES, *TEXTS) if self.rows.has(m)}
        if self.matrix is not None:
            self.modalities |= {"features"}
            report_bad_rows(self.rows, self.matrix)

    def __len__(self) -> int:
        return len(self.rows)

    def texts(self, modalities: Collection[str]) -> dict[str, Texts]:
        """The texts among some modalities."""
        return {
            m: Texts(self.rows.column(m)) for m in modalities if m in TEXTS and self.rows.has(m)
        }

    def chunks(
        self, modalities: Collection[str], size: int, like: np.ndarray | None = None
    ) -> Iterator[Chunk]:
        """All queries in order, ``size`` at a time; files are decoded by other processes meanwhile.

        Args:
            modalities: to be read.
            size: queries at a time.
            like: features that those of the queries must resemble; by default the first ones.
        """
        self._like = None if like is None else (like.ndim, like.shape[-1])
        for modality in modalities:
            if modality not in self.modalities:
                raise UserError(f"query: {self.rows.path} has no {modality}")
            if self.rows.has(modality):
                self.rows.report(pc.is_null(self.rows.column(modality)), f"it has no {modality}")
        with Pool() as pool:
            streams = {m: self._stream(pool, m) for m in sorted(modalities)}
            for start in range(0, len(self), size):
                rows = np.arange(start, min(start + size, len(self)))
                yield self._chunk(rows, {m: [next(s) for _ in rows] for m, s in streams.items()})

    def _stream(self, pool: Pool, modality: str) -> Iterator[Any]:
        """The value of every row, or why there is none."""
        if modality == "features" and self.matrix is not None:
            return (self.matrix[i : i + 1][0] for i in self.rows.origin.tolist())
        if modality in TEXTS:
            texts = Texts(self.rows.column(modality))
            return (texts[i : i + 1][0] for i in range(len(self)))
        names, bad = self.rows.column(modality).to_pylist(), set(self.rows.problems)
        files = pool.decode(
            modality,
            (self.rows.folder / n for i, n in enumerate(names) if i not in bad),
            self.reading.limits,
        )
        return (Failure("") if i in bad else next(files) for i in range(len(names)))

    def _chunk(self, rows: np.ndarray, values: Mapping[str, list[Any]]) -> Chunk:
        numbers = rows.tolist()
        problems = {i: self.rows.problems[i] for i in numbers if i in self.rows.problems}
        for modality, several in values.items():
            for i, value in zip(numbers, several, strict=True):
                why = value.why if isinstance(value, Failure) else self._misfit(modality, value)
                if why:
                    problems.setdefault(i, f"its {modality}: {why}")
                elif isinstance(value, np.ndarray) and is_constant(modality, value):
                    self.constant.setdefault(modality, []).append(
                        self.rows.column(modality)[i].as_py()
                    )
        good = [k for k, i in enumerate(numbers) if i not in problems]
        raw = {m: Column(as_batch([several[k] for k in good])) for m, several in values.items()}
        return Chunk(rows, ExampleSet.of(raw), problems)

    def _misfit(self, modality: str, value: Any) -> str | None:
        """Why features are unlike the first ones."""
        if modality != "features":
            return None
        self._like = self._like or (value.ndim, value.shape[-1])
        if (value.ndim, value.shape[-1]) == self._like:
            return None
        return (
            f"it has {value.ndim} dimensions and width {value.shape[-1]} where others "
            f"have {self._like}"
        )


def as_batch(values: list[Any]) -> Any:
    """A raw batch: a tensor where all values have one shape, else an object array."""
    if values and isinstance(values[0], str):
        return objects(values)
    shapes = {tuple(v.shape) for v in values}
    if len(shapes) != 1:
        return objects(values)
    return torch.stack(
        [v if isinstance(v, torch.Tensor) else torch.from_numpy(np.array(v)) for v in values]
    )
