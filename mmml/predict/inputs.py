"""Support sets and queries from the user's files."""

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
    """Options for reading files.

    Attributes:
        columns: the names that tables use for columns.
        features: a ``.npy`` matrix beside each table; None if features are in the table or not
            used.
        limits: the sizes that media are decoded to.
        skip: whether to leave out unusable support samples.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    features: str | None = None
    limits: Limits = field(default_factory=Limits)
    skip: bool = False

    def rows(self, path: str, option: str, targets: bool) -> ManifestRows:
        """Read the table of a folder or manifest, see :func:`mmml.data.manifest.read_rows`."""
        return read_rows(path, option, self.columns, self.features is not None, targets)

    def matrix(self, rows: ManifestRows) -> Matrix | None:
        """Return the features of all rows, if they are in one matrix."""
        if self.features is None:
            return vector_column(rows.path)
        return load_matrix(rows.folder / expanded(self.features), "predict.features", rows)


class Support:
    """A support set: all rows of a manifest; without labels, each row is a class of its own.

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
        if one_way:  # all rows are one class, but scores and values belong to samples
            self.per = {
                m: Granularity.SAMPLE for m in self.per if self.rows.has(m) or m == "features"
            }

    @property
    def comparable(self) -> set[str]:
        """The modalities that support and queries may share: complete ones, but not those that are
        the same for all samples of a class.
        """
        several = len(self.codes) > len(self.names)
        complete = {
            m for m in self.per if not self.rows.has(m) or self.rows.column(m).null_count == 0
        }
        return {m for m in complete if self.per[m] is Granularity.SAMPLE or not several}

    def samples(self, modalities: Collection[str]) -> Samples:
        """Return all rows with these modalities, and with scores if ``score`` is among them.

        Raises:
            UserError: a row cannot be used; the message names the first one.
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
    """Return all samples as one support set; classes may have different numbers of samples.

    Args:
        samples: raw or encoded.
        modalities: to show.
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
            index, counts = column.starts[:-1], np.ones_like(counts)  # one value per class
        columns[modality] = column.take(index)
        labels[modality] = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))[None]
    return ExampleSet.of(columns, ragged_labels=labels)


@dataclass
class Chunk:
    """A part of the queries.

    Attributes:
        rows: their positions in the manifest.
        examples: the readable queries, as one query set.
        problems: why the others cannot be read, by position.
    """

    rows: np.ndarray
    examples: ExampleSet
    problems: dict[int, str]


class Queries:
    """The queries of a manifest, read in chunks.

    Args:
        path: of the manifest or folder.
        reading: how files are read.

    Attributes:
        constant: by modality, the files read so far that decode to a single value throughout.
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
        """Return the columns of those modalities that are texts."""
        return {
            m: Texts(self.rows.column(m)) for m in modalities if m in TEXTS and self.rows.has(m)
        }

    def chunks(
        self, modalities: Collection[str], size: int, like: np.ndarray | None = None
    ) -> Iterator[Chunk]:
        """Yield all queries in order, ``size`` at a time; files are decoded in parallel processes.

        Args:
            modalities: to read.
            size: queries at a time.
            like: features whose dimensions and width those of the queries must have; by default the
                first query's.
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
        """Yield the value of every row, or a ``Failure``."""
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
        """Return how the shape of features differs from the expected one; None if it does not."""
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
    """Return values as a raw batch: a tensor if all have one shape, else an object array."""
    if values and isinstance(values[0], str):
        return objects(values)
    shapes = {tuple(v.shape) for v in values}
    if len(shapes) != 1:
        return objects(values)
    return torch.stack(
        [v if isinstance(v, torch.Tensor) else torch.from_numpy(np.array(v)) for v in values]
    )
