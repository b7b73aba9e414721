"""``dataset=manifest``: your own samples, split so that no class, or no sample, is in two
splits.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmml.data.base import SCORE, Dataset, Granularity, Samples, check_fractions, datasets
from mmml.data.duplicates import if_any, linked
from mmml.data.manifest.columns import Source, make_samples, open_sources, report_gaps
from mmml.data.manifest.columns import declared as declared_modalities
from mmml.data.manifest.copies import contents, copies, telling
from mmml.data.manifest.features import load_matrix, vector_column
from mmml.data.manifest.reading import read_rows
from mmml.data.manifest.rows import ManifestRows
from mmml.data.manifest.sheet import TEXT
from mmml.data.manifest.splitting import (
    BY_SAMPLE,
    by_class,
    by_sample,
    declared,
    refuse_straddling,
    unspread,
)
from mmml.data.media import Limits
from mmml.data.values import Matrix
from mmml.errors import UserError, many
from mmml.files import expanded

SHOWN = 3  # bad rows that a message lists


@datasets.register("manifest")
class Manifest(Dataset):
    """A table of your own files, or a folder for each class.

    Args:
        root: a table, a folder with a table ``metadata.csv``, ``.jsonl`` or ``.parquet``, or a
            folder of class folders.
        columns: the names that the table uses for columns, such as ``{"text": "caption"}``; null
            for none.
        features: a ``.npy`` matrix beside the table, with a row (``[width]`` or ``[steps, width]``)
            for each row of the table; null if features are in the table or not used.
        on_bad_sample: ``error``, or ``skip`` to leave out the rows that cannot be used.
        split_seed, val, test: as for every dataset; used where the table has no ``split``.
        split_by: ``class``: no class is in two splits; or ``sample``: all splits have the same
            classes, and no row, copy of a row or group is in two splits. Rows with a score and
            without a label are then one class.
        image_side, audio_seconds, video_frames, video_side: the sizes that media are decoded to;
            see :class:`mmml.data.media.Limits`.
        missing: ``error`` if a row lacks one of the modalities in use, or ``keep`` to keep rows
            that have any of them.
        image_range, image_background, audio_channel: how media are decoded; see the same class.
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
        split_by: Literal["class", "sample"] = "class",
    ):
        self.root, self.columns, self.features = root, columns or {}, features
        self.on_bad_sample, self.missing = on_bad_sample, missing
        self.split_seed, self.val, self.test = split_seed, val, test
        self.new_classes = split_by == "class"
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
        """The same for all manifests: a class may have been trained on even if its files have moved
        since.
        """
        return self.name

    @cached_property
    def rows(self) -> ManifestRows:
        """The rows of the table."""
        return read_rows(self.root, "dataset.root", self.columns, self.features is not None)

    @cached_property
    def matrix(self) -> Matrix | None:
        """Features of all rows, if they are in one matrix; else None."""
        if self.features is None:
            return vector_column(self.rows.path)
        path = self.rows.folder / expanded(self.features)
        return load_matrix(path, "dataset.features", self.rows)

    @cached_property
    def labels(self) -> tuple[np.ndarray, pa.Array]:
        """The class of each row, −1 for none, and the names of the classes."""
        if not self.new_classes and self.rows.has("score") and not self.rows.has("label"):
            return np.zeros(len(self.rows), np.int64), pa.array(["score"], TEXT)
        return self.rows.classes()

    @cached_property
    def modalities(self) -> Mapping[str, Granularity]:  # type: ignore[override]
        """The modalities that the table's columns contain."""
        return declared_modalities(self.rows, self.labels[0], self.matrix)

    @property
    def notes(self) -> list[str]:  # type: ignore[override]
        """Remarks on the table and its files, in one sentence each."""
        return [self.rows.count(), *self.rows.unusable("dataset.on_bad_sample"), *self.rows.notes]

    @property
    def scored(self) -> bool:  # type: ignore[override]
        """Whether there is a column of scores."""
        return self.rows.has("score")

    def check(self) -> None:
        """Raise ``UserError`` if ``root`` is one folder too high or too low."""
        if self.rows.meant:
            raise UserError(self.rows.meant)

    def load(self, modalities: Collection[str]) -> dict[str, Samples]:
        """Load the splits of the column ``split``; without this column, split by class or by
        sample.

        Raises:
            UserError: a row cannot be used (and is not to be skipped), or a class or a group
                is in two splits.
        """
        scored = SCORE in modalities
        sources = open_sources(self.rows, {*modalities} - {SCORE}, self.limits, self.matrix)
        if scored:
            self.rows.report(pc.is_null(self.rows.column(SCORE)), "it has no score")
        report_gaps(
            self.rows, self.labels[0], sources, self.modalities, keep=self.missing == "keep"
        )
        keep, shown = self._usable(), telling(sources, self.modalities)
        numbers = copies(shown, len(self.rows))
        splits = self._by_class(keep) if self.new_classes else self._by_sample(keep, numbers)
        kept_apart = self._kept_apart(
            splits, {m: s for m, s in sources.items() if self.modalities[m] is Granularity.SAMPLE}
        )
        made = {s: self._split(rows, sources, numbers, scored) for s, rows in splits.items()}
        return {s: replace(part, kept_apart=kept_apart[s]) for s, part in made.items()}

    def _usable(self) -> np.ndarray:
        """Return the positions of rows without a problem. The others raise ``UserError``, or are
        listed in ``skipped``.
        """
        rows, problems = self.rows, dict(sorted(self.rows.problems.items()))
        messages = [f"{rows.name_row(i)}: {why}" for i, why in problems.items()]
        if messages and self.on_bad_sample == "error":
            more = f" (and {len(messages) - 1} more)" if len(messages) > 1 else ""
            lacks = next(iter(problems.values())) in {f"it has no {m}" for m in self.modalities}
            kept = (
                ", or keep what some lack by dataset.missing=keep"
                if lacks and self.missing == "error"
                else ""
            )
            raise UserError(
                f"{messages[0]}{more}; fix it, or leave such rows out by "
                f"dataset.on_bad_sample=skip{kept} (mmml-data check {self.root} lists them)"
            )
        self.skipped = messages
        return np.delete(np.arange(len(rows)), list(problems))

    def _by_class(self, keep: np.ndarray) -> dict[str, np.ndarray]:
        """Return the rows of each split, with disjoint classes."""
        codes, names = self.labels
        if not self.rows.has("split"):
            return by_class(keep, codes, names, self.split_seed, self.val, self.test)
        splits = declared(self.rows.column("split"), keep)
        hint = (
            "give each class one split, leave the column out and have the classes split by "
            f"dataset.split_seed, or set {BY_SAMPLE} to test new samples of known classes"
        )
        refuse_straddling({s: codes[rows] for s, rows in splits.items()}, names, "class", hint)
        return splits

    def _by_sample(self, keep: np.ndarray, numbers: np.ndarray) -> dict[str, np.ndarray]:
        """Return the rows of each split, with disjoint rows; copies of a row have the same number
        in ``numbers``.
        """
        rows = self.rows
        groups, names = rows.codes("group") if rows.has("group") else (np.full(len(rows), -1), None)
        units = linked(numbers, np.where(groups < 0, len(groups) + np.arange(len(groups)), groups))
        if not rows.has("split"):
            splits = self._spread(keep, units, self.test)
            while len(lacking := unspread(splits, self.labels[0])):
                for c in lacking.tolist():
                    why = (
                        f"its class, {self.labels[1][c].as_py()!r}, needs three rows or "
                        f"groups for {BY_SAMPLE}"
                    )
                    rows.report(self.labels[0] == c, why)
                splits = self._spread(self._usable(), units, self.test)
            return splits
        splits = declared(rows.column("split"), keep)
        if names is not None:
            hint = f"with {BY_SAMPLE} give each group one split, or leave the column group out"
            refuse_straddling({s: groups[part] for s, part in splits.items()}, names, "group", hint)
        if not len(splits["val"]):
            splits |= {**self._spread(splits["train"], units, 0), "test": splits["test"]}
            rows.notes.append(
                f"no row has the split val; {len(splits['val']):,} of train are used for validation"
            )
        if again := int(
            np.isin(numbers[splits["test"]], numbers[np.r_[splits["train"], splits["val"]]]).sum()
        ):
            rows.notes.append(
                f"copies of rows of train or val in {many(again, 'row')} of test; leave them out"
            )
        return splits

    def _spread(self, keep: np.ndarray, units: np.ndarray, test: float) -> dict[str, np.ndarray]:
        check_fractions(self.val, self.test)
        return by_sample(
            keep,
            self.labels[0],
            units,
            self.rows.names.to_pylist(),
            self.split_seed,
            self.val,
            test,
        )

    def _kept_apart(
        self, splits: Mapping[str, np.ndarray], own: Mapping[str, Source]
    ) -> dict[str, list[str]]:
        """For each split, return identifiers of its content; a run trained on them must not be
        tested on them: whole classes, or the values of all modalities.

        All modalities count, since a run with fewer modalities may have other splits.
        """
        full = {
            s: [f"all of {name}" for name in self._classes_of(rows)] for s, rows in splits.items()
        }
        if self.new_classes:
            return full | {"test": []}
        known = contents(own)
        rows_of = {
            s: {f"{m} {d.decode()}" for m, of in known.items() for d in of[r] if d}
            for s, r in splits.items()
        }
        new = rows_of["test"] - rows_of["train"] - rows_of["val"]
        return {s: sorted(rows_of[s]) for s in ("train", "val")} | {
            "test": [*sorted(new), *full["test"]]
        }

    def _classes_of(self, rows: np.ndarray) -> list[str]:
        codes, names = self.labels
        found: list[str] = names.take(pa.array(np.unique(codes[rows]))).to_pylist()
        return found

    def _split(
        self, rows: np.ndarray, sources: Mapping[str, Source], numbers: np.ndarray, scored: bool
    ) -> Samples:
        codes = self.labels[0]
        order = rows[np.argsort(codes[rows], kind="stable")]
        labels = np.unique(codes[order], return_inverse=True)[1]
        made = make_samples(
            self.rows, order, labels, self._classes_of(rows), sources, self.modalities, scored
        )
        return replace(made, duplicates=if_any(numbers[order]))
