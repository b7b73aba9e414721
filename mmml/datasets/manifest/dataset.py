"""``dataset=manifest``: samples of your own, with class-disjoint splits."""

from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmml.datasets.base import SPLITS, Dataset, Per, Samples, datasets, split_classes
from mmml.datasets.manifest.columns import Source, declared, make_samples, open_sources, report_gaps
from mmml.datasets.manifest.features import load_matrix, vector_column
from mmml.datasets.manifest.reading import read_rows
from mmml.datasets.manifest.rows import ManifestRows
from mmml.datasets.values import Matrix
from mmml.errors import UserError
from mmml.media import Limits

SHOWN = 3  # bad rows that a message names


@datasets.register("manifest")
class Manifest(Dataset):
    """A table of your own files, or a folder for each class.

    Args:
        root: a folder with ``metadata.csv``, ``.jsonl`` or ``.parquet``, such a file, or a folder
            of class folders.
        columns: the table's own names for columns, such as ``{"text": "caption"}``; null for none.
        features: a ``.npy`` matrix beside the table, one row (``[width]`` or ``[steps, width]``)
            for each of its rows; null if features come otherwise or not at all.
        on_bad_sample: ``error``, or ``skip`` the rows that cannot be used.
        split_seed, val, test: as for every dataset; used where the table has no ``split``.
        image_side, audio_seconds, video_frames, video_side: what media are decoded to;
            see :class:`mmml.media.Limits`.
        missing: ``error`` where a row lacks one of the modalities in use, or ``keep`` what has any of them.
        image_range, image_background, audio_channel: how they are decoded; see there.
    """

    name = "manifest"

    def __init__(
        self,
        root: str,
        columns: dict[str, str] | None,
        features: str | None,
        on_bad_sample: Literal["error", "skip"],
        split_seed: int,
        val: float,
        test: float,
        image_side: int,
        audio_seconds: float,
        video_frames: int,
        video_side: int,
        missing: Literal["error", "keep"] = "error",
        image_range: Literal["full", "each"] | list[float] = "full",
        image_background: Literal["white", "black"] = "white",
        audio_channel: int | None = None,
    ):
        self.root, self.columns, self.features = root, columns or {}, features
        self.on_bad_sample, self.missing = on_bad_sample, missing
        self.split_seed, self.val, self.test = split_seed, val, test
        self.limits = Limits(
            image_side=image_side,
            image_range=image_range,
            image_background=image_background,
            audio_seconds=audio_seconds,
            audio_channel=audio_channel,
            video_frames=video_frames,
            video_side=video_side,
        )
        self.skipped: list[str] = []

    @property
    def identity(self) -> str:
        """One for all manifests: a class of that name may have been seen, wherever its files lie now."""
        return self.name

    @cached_property
    def rows(self) -> ManifestRows:
        """The table, read once."""
        return read_rows(self.root, "dataset.root", self.columns, self.features is not None)

    @cached_property
    def matrix(self) -> Matrix | None:
        """Features of all rows, if they come as one matrix."""
        if self.features is None:
            return vector_column(self.rows.path)
        path = self.rows.folder / Path(self.features).expanduser()
        return load_matrix(path, "dataset.features", self.rows)

    @cached_property
    def labels(self) -> tuple[np.ndarray, pa.Array]:
        """The class of each row, −1 for none, and the names of the classes."""
        return self.rows.classes()

    @cached_property
    def modalities(self) -> Mapping[str, Per]:  # type: ignore[override]
        """What the table's columns hold."""
        return declared(self.rows, self.labels[0], self.matrix)

    @property
    def notes(self) -> list[str]:  # type: ignore[override]
        """What is worth knowing of the table and its files, in one sentence each."""
        return [self.rows.count(), *self.rows.notes]

    @property
    def scored(self) -> bool:  # type: ignore[override]
        """Whether there is a column of scores."""
        return self.rows.has("score")

    def check(self) -> None:
        """Refuse a folder one level above or below the one that was meant."""
        if self.rows.meant:
            raise UserError(self.rows.meant)

    def load(self, modalities: Collection[str], scores: bool = False) -> dict[str, Samples]:
        """Splits as the table's column ``split`` has them, else made by class.

        Raises:
            UserError: a row cannot be used (and is not to be skipped), or a class is in two splits.
        """
        sources = open_sources(self.rows, modalities, self.limits, self.matrix)
        if scores and self.rows.has("score"):
            self.rows.report(pc.is_null(self.rows.column("score")), "it has no score")
        report_gaps(self.rows, self.labels[0], sources, self.modalities, keep=self.missing == "keep")
        keep = self._usable()
        codes, names = self.labels
        return {s: self._split(rows, codes, names, sources) for s, rows in self._splits(keep, codes, names).items()}

    def _usable(self) -> np.ndarray:
        """Positions of the rows without a problem; refuses or remembers the others."""
        rows, problems = self.rows, dict(sorted(self.rows.problems.items()))
        told = [f"{rows.name_row(i)}: {why}" for i, why in problems.items()]
        if told and self.on_bad_sample == "error":
            more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
            lacks = next(iter(problems.values())) in {f"it has no {m}" for m in self.modalities}
            kept = ", or keep what some lack by dataset.missing=keep" if lacks and self.missing == "error" else ""
            raise UserError(
                f"{told[0]}{more}; mend it, or leave such rows out by dataset.on_bad_sample=skip{kept} "
                f"(mmml-data check {self.root} lists them)"
            )
        self.skipped = told
        return np.delete(np.arange(len(rows)), list(problems))

    def _splits(self, keep: np.ndarray, codes: np.ndarray, names: pa.Array) -> dict[str, np.ndarray]:
        """The rows of each split."""
        if self.rows.has("split"):
            split = self.rows.column("split").take(pa.array(keep))
            parts = {s: keep[pc.equal(split, s).to_numpy(zero_copy_only=False)] for s in SPLITS}
            refuse_straddling({s: codes[p] for s, p in parts.items()}, names)
            return parts
        present = np.unique(codes[keep])
        split_of = np.zeros(len(names), np.int8)
        chosen = split_classes([names[int(c)].as_py() for c in present], self.split_seed, self.val, self.test)
        for number, s in enumerate(SPLITS):
            split_of[present[chosen[s]]] = number
        return {s: keep[split_of[codes[keep]] == number] for number, s in enumerate(SPLITS)}

    def _split(self, rows: np.ndarray, codes: np.ndarray, names: pa.Array, sources: Mapping[str, Source]) -> Samples:
        order = rows[np.argsort(codes[rows], kind="stable")]
        present, labels = np.unique(codes[order], return_inverse=True)
        return make_samples(
            self.rows, order, labels, names.take(pa.array(present)).to_pylist(), sources, self.modalities
        )


def refuse_straddling(codes: Mapping[str, np.ndarray], names: pa.Array) -> None:
    """Refuse a class with rows in two splits: what is tested must never have been trained on."""
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        both = np.intersect1d(codes[a], codes[b])
        if len(both):
            raise UserError(
                f"class {names[int(both[0])].as_py()!r} is in split {a} and in split {b}"
                f"{f', and {len(both) - 1} more are' if len(both) > 1 else ''}; give each class one split, or leave "
                "the column out and have the classes split by dataset.split_seed"
            )
