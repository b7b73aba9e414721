"""The rows of a manifest, by the meaning of their columns, and the problems of rows."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmml.data.manifest.meaning import TEXTS
from mmml.data.manifest.sheet import TEXT
from mmml.data.media import FILE_MODALITIES
from mmml.errors import many

SHOWN = 3  # files or folders that a sentence lists
MENDS = {
    "image": (
        ("image_range: each", "for 16-bit pictures"),
        ("image_background: black", "for light drawings on a transparent ground"),
    ),
    "audio": (("audio_channel: 0", "if the channels cancel each other"),),
}


@dataclass
class ManifestRows:
    """The rows of a manifest, by column.

    Attributes:
        path: of the manifest, or of the folder whose subfolders are the classes.
        option: the option that gave the manifest: ``dataset.root``, ``support`` or ``query``.
        table: the column ``id``, and those of ``label``, ``text``, ``source_text``, ``score``,
            ``split``, ``group``, ``domain`` and the modalities of files (paths relative to the
            folder) that the manifest has; texts, null where empty, except ``score``, which has
            numbers.
        origin: the row of the file that each row comes from, counted from 0; several rows have the
            same origin if a row of the file lists several files.
        ignored: names of columns without a meaning.
        problems: why a row cannot be used, by its position.
        left_out: how many files or rows were skipped, by the reason.
        notes: further remarks, in one sentence each.
        meant: the folder that was probably meant, if no run can use this one.
    """

    path: Path
    option: str
    table: pa.Table
    origin: np.ndarray
    ignored: list[str] = field(default_factory=list)
    problems: dict[int, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    meant: str = ""

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def folder(self) -> Path:
        """The folder that paths are relative to."""
        return self.path if self.path.is_dir() else self.path.parent

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return name in self.table.column_names

    def column(self, name: str) -> pa.Array:
        """Return one column as a single Arrow array."""
        return self.table[name].combine_chunks()

    def replace(self, name: str, values: pa.Array) -> None:
        """Replace the values of a column."""
        self.table = self.table.set_column(self.table.column_names.index(name), name, values)

    def codes(self, name: str) -> tuple[np.ndarray, pa.Array]:
        """Return a text column as numbers, −1 where empty, and the distinct texts that they stand
        for.
        """
        return _encoded(self.column(name))

    def classes(self) -> tuple[np.ndarray, pa.Array]:
        """Return the class of each row, −1 for none, and the names of the classes.

        Without labels, rows with the same file (or text, if they have no files) are a class.
        """
        if self.has("label"):
            return self.codes("label")
        named = [self.column(name) for name in (*FILE_MODALITIES, *TEXTS, "id") if self.has(name)]
        return _encoded(pc.coalesce(*named))

    def name_row(self, i: int) -> str:
        """Describe a row for a message: its number from 1 (the header does not count) and
        its id.
        """
        name = self.table["id"][i].as_py()
        return (
            f"{name} of {self.path}"
            if self.path.is_dir()
            else f"row {self.origin[i] + 1} of {self.path} ({name})"
        )

    @cached_property
    def names(self) -> pa.Array:
        """The name of each row: its id, followed by a number if several rows have the same id."""
        codes, ids = self.codes("id")
        if len(ids) == len(codes):
            return self.column("id")
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(ids)))
        number = np.empty(len(codes), np.int64)
        number[order] = np.arange(len(codes)) - starts[codes[order]]
        numbered = zip(self.column("id").to_pylist(), number.tolist(), strict=True)
        return pa.array([f"{name}#{k + 1}" if k else name for name, k in numbered], TEXT)

    def count(self) -> str:
        """Say how many rows there are, and what was skipped, in one line."""
        counts = {
            m: len(np.unique(self.column(m).drop_null())) for m in FILE_MODALITIES if self.has(m)
        }
        files = " and ".join(many(n, f"{m} file") for m, n in counts.items())
        what = files if self.path.is_dir() else many(len(self), "row")
        left_out = [f"{count:,} {why}" for why, count in self.left_out.items()]
        return f"{what} read from {self.path}" + (
            f"; left out: {', '.join(left_out)}" if left_out else ""
        )

    def unusable(self, option: str) -> list[str]:
        """Say how many rows are left out as unusable, with the first of them, in one sentence;
        empty if none are.
        """
        if not self.problems:
            return []
        first, count = min(self.problems), len(self.problems)
        what = (
            f"{many(count, 'row')} that cannot be used {'is' if count == 1 else 'are'} left "
            f"out ({option}=skip)"
        )
        return [f"{what}, such as {self.name_row(first)}: {self.problems[first]}"]

    def note_constant(self, modality: str, names: list[str]) -> None:
        """Add a note on files that contain no information."""
        if names:
            self.notes.append(constant_files(modality, names, self.option))

    def report(self, mask: np.ndarray | pa.Array, why: str) -> None:
        """Add a problem to the rows where ``mask`` is true; rows keep an earlier problem."""
        mask = (
            mask
            if isinstance(mask, np.ndarray)
            else pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
        )
        for i in np.flatnonzero(mask).tolist():
            self.problems.setdefault(i, why)


def _encoded(values: pa.Array) -> tuple[np.ndarray, pa.Array]:
    encoded = values.dictionary_encode()
    return pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(
        np.int64
    ), encoded.dictionary


def constant_files(modality: str, names: list[str], option: str) -> str:
    """A sentence on files with a single value throughout, with options that may help."""
    of_dataset = option == "dataset.root"
    mends = [
        f"dataset.{setting.replace(': ', '=')} {why}"
        if of_dataset
        else f"predict.decoding={{{setting}}} {why}"
        for setting, why in MENDS.get(modality, ())
    ]
    files = f"{many(len(names), f'{modality} file')} {'is' if len(names) == 1 else 'are'}"
    what = "silent" if modality == "audio" else "constant"
    shown = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"{files} {what} after decoding ({shown})" + (
        f"; try {', or '.join(mends)}" if mends else ""
    )
