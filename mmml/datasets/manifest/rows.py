"""What the columns of a manifest mean, and which of its rows cannot be used."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmml.datasets.manifest.files import CELL, SPLIT_NAMES, find, has_vectors, read
from mmml.errors import UserError, nearest
from mmml.media import FILE_MODALITIES

TEXTS = ("text", "source_text")
PLAIN = ("id", "label", *TEXTS, "score", "split", "group", "domain")
TARGETS = ("label", "score", "split", "group", "domain")
NAME = 60  # characters of a text that name its row


@dataclass
class ManifestRows:
    """The rows of a manifest, by column.

    Attributes:
        path: of the manifest, or of the folder whose subfolders are the classes.
        table: ``id`` always, and those of ``label``, ``text``, ``source_text``, ``score``, ``split``, ``group``,
            ``domain`` and the modalities of files (paths relative to the folder) that the manifest has; all
            are texts, null where empty, but ``score``, which is a number.
        origin: the row of the file that each row comes from, from 0; several if a row lists several files.
        ignored: names of columns that mean nothing to mmml.
        problems: why a row cannot be used, by its position.
    """

    path: Path
    table: pa.Table
    origin: np.ndarray
    ignored: list[str] = field(default_factory=list)
    problems: dict[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return self.table.num_rows

    @property
    def folder(self) -> Path:
        """What paths are relative to."""
        return self.path if self.path.is_dir() else self.path.parent

    def has(self, name: str) -> bool:
        """Whether there is such a column."""
        return name in self.table.column_names

    def column(self, name: str) -> pa.Array:
        """One column, in one piece."""
        return self.table[name].combine_chunks()

    def codes(self, name: str) -> tuple[np.ndarray, pa.Array]:
        """A text column as numbers, −1 where empty, and the distinct texts that they stand for."""
        encoded = self.column(name).dictionary_encode()
        return pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary

    def classes(self) -> tuple[np.ndarray, pa.Array]:
        """The class of each row, −1 for none, and the names of the classes.

        Without labels, the rows that share a file (or a text, if there are no files) are a class.
        """
        for name in ("label", *FILE_MODALITIES, *TEXTS):
            if self.has(name):
                return self.codes(name)
        return self.codes("id")

    def name_row(self, i: int) -> str:
        """How a message names a row: its number from 1 (the header does not count) and its id."""
        name = self.table["id"][i].as_py()
        return f"{name} of {self.path}" if self.path.is_dir() else f"row {self.origin[i] + 1} of {self.path} ({name})"

    @cached_property
    def names(self) -> pa.Array:
        """What each row is called: its id, with a number behind it where several rows have the same."""
        codes, ids = self.codes("id")
        if len(ids) == len(codes):
            return self.column("id")
        order = np.argsort(codes, kind="stable")
        starts = np.searchsorted(codes[order], np.arange(len(ids)))
        place = np.empty(len(codes), np.int64)
        place[order] = np.arange(len(codes)) - starts[codes[order]]
        numbered = zip(self.column("id").to_pylist(), place.tolist(), strict=True)
        return pa.array([f"{name}#{k + 1}" if k else name for name, k in numbered], pa.large_string())

    def report(self, mask: np.ndarray | pa.Array, why: str) -> None:
        """Note a problem with the rows where ``mask`` is true; a row's first problem stays."""
        mask = mask if isinstance(mask, np.ndarray) else pc.fill_null(mask, False).to_numpy(zero_copy_only=False)
        for i in np.flatnonzero(mask).tolist():
            self.problems.setdefault(i, why)


def read_rows(
    root: str, option: str, columns: Mapping[str, str], matrix: bool = False, targets: bool = True
) -> ManifestRows:
    """Read a manifest and find what is wrong with its rows, without opening a media file.

    Args:
        root: a manifest or the folder that it lies in.
        option: what named it, for messages.
        columns: the names that the file uses for some columns, such as ``{"text": "caption"}``.
        matrix: whether its features come in a file of their own.
        targets: whether labels, scores and splits must be in order; those of queries need not.

    Raises:
        UserError: it cannot be read, or has no column with a modality.
    """
    path = find(root, option)
    table = read(path, option)
    where = "predict.columns" if option in ("support", "query") else "dataset.columns"
    if not targets:  # those that queries may lack
        columns = {m: n for m, n in columns.items() if n in table.column_names or m not in TARGETS}
    named, ignored = _interpret(table, columns, path, where)
    named, origin = _explode({n: v for n, v in named.items() if v.null_count < len(v)}, len(table))
    modalities = [m for m in FILE_MODALITIES if m in named]
    if not (modalities or set(TEXTS) & set(named) or matrix or has_vectors(path)):
        raise _no_modality(path, table.column_names, ignored)
    explicit = "id" in named
    if not explicit:
        numbers = pa.array(np.arange(1, len(origin) + 1)).cast(pa.large_string())
        short = [pc.utf8_slice_codeunits(named[t], 0, NAME) for t in reversed(TEXTS) if t in named]
        named["id"] = pc.coalesce(*(named[m] for m in modalities), *short, numbers)
    rows = ManifestRows(path, pa.table(named), origin, ignored)
    _check_values(rows, modalities)
    bad_scores = _read_scores(rows)
    if targets:
        _check_targets(rows)
        rows.report(bad_scores, "its score is no number")
    if explicit:
        _check_ids(rows)
    return rows


def _no_modality(path: Path, names: list[str], ignored: list[str]) -> UserError:
    wanted = [f"{m}_file_name" for m in FILE_MODALITIES] + ["text"]
    hints = [hint for name in ignored if (hint := nearest(name, wanted))]
    return UserError(
        f"{path} has no column with a modality, such as image_file_name or text{hints[0] if hints else ''} "
        f"(it has {', '.join(names)}; dataset.columns names others)"
    )


def _interpret(table: pa.Table, columns: Mapping[str, str], path: Path, where: str) -> tuple[dict[str, Any], list[str]]:
    """Columns by what they mean, as texts (or lists of texts), and the names of the others."""
    meanings = {name: name for name in PLAIN}
    meanings |= {f"{m}_file_name": m for m in FILE_MODALITIES} | {f"{m}_file_names": f"{m}*" for m in FILE_MODALITIES}
    for meaning, name in columns.items():
        if meaning not in (*PLAIN, *FILE_MODALITIES):
            known = (*PLAIN, *FILE_MODALITIES)
            raise UserError(f"{where}.{meaning} is no kind of column{nearest(meaning, known)}")
        if name not in table.column_names:
            hint = nearest(name, table.column_names)
            raise UserError(f"{where}.{meaning}={name}: {path} has no such column{hint}")
        meanings = {k: v for k, v in meanings.items() if v != meaning} | {name: meaning}
    named = {meanings[n]: _texts(table[n], meanings[n]) for n in table.column_names if n in meanings}
    return named, [n for n in table.column_names if n not in meanings]


def _texts(values: pa.ChunkedArray, meaning: str) -> pa.Array:
    """Trimmed texts, null where empty; lists of paths stay lists, of texts."""
    array = values.combine_chunks()
    if pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
        if not meaning.endswith("*"):
            array = pa.array([None if v is None else ";".join(map(str, v)) for v in array.to_pylist()], pa.string())
            return _texts(pa.chunked_array([array]), meaning)
        return pa.array([None if not v else [str(f) for f in v] for v in array.to_pylist()], pa.list_(pa.string()))
    if pa.types.is_struct(array.type) or pa.types.is_null(array.type):
        array = pa.array([None if v is None else str(v) for v in array.to_pylist()], pa.large_string())
    try:
        array = array.cast(pa.large_string())
    except pa.ArrowException:
        array = pa.array([None if v is None else str(v) for v in array.to_pylist()], pa.large_string())
    array = pc.utf8_trim_whitespace(array)
    return pc.if_else(pc.equal(pc.binary_length(array), 0), None, array)


def _explode(named: dict[str, Any], count: int) -> tuple[dict[str, Any], np.ndarray]:
    """A row with several files (a list, or texts with ``;`` between) → a row for each, all of one group.

    Also returns which row each comes from.
    """
    several = [n for n in named if n.endswith("*")]
    if not several:
        return named, np.arange(count)
    lists = {n: _as_lists(named[n]) for n in several}
    counts = [max(1, *(len(lists[n][i]) for n in several)) for i in range(len(next(iter(lists.values()))))]
    repeat = np.repeat(np.arange(len(counts)), counts)
    exploded = {n: v.take(pa.array(repeat)) for n, v in named.items() if n not in several}
    for n in several:
        files = [f for several_files, k in zip(lists[n], counts, strict=True) for f in _padded(several_files, k)]
        exploded[n.rstrip("*")] = pa.array(files, pa.large_string())
    if "group" not in named:
        exploded["group"] = pa.array(repeat).cast(pa.large_string())
    if "id" in named:
        numbers = pa.array(np.concatenate([np.arange(k) for k in counts])).cast(pa.large_string())
        exploded["id"] = pc.binary_join_element_wise(exploded["id"], numbers, pa.scalar("#", pa.large_string()))
    return exploded, repeat


def _as_lists(column: pa.Array) -> list[list[str]]:
    values = column.to_pylist()
    return [[f.strip() for f in v.split(";") if f.strip()] if isinstance(v, str) else list(v or []) for v in values]


def _padded(files: list[str], count: int) -> list[str | None]:
    return [*files, *[None] * (count - len(files))]


def _check_values(rows: ManifestRows, modalities: list[str]) -> None:
    """Note the rows with paths and cells that are refused whatever the run needs of them."""
    for modality in modalities:
        path = rows.column(modality)
        inside = pc.match_substring_regex(path, r"^([/\\]|[A-Za-z]:)|(^|[/\\])\.\.([/\\]|$)")
        rows.report(inside, f"its {modality} file lies outside of the folder; paths are relative to it")
        rows.report(
            pc.match_substring_regex(path, r"[\x00-\x1f]"),
            f"its {modality} file name holds a line break or "
            "another control character; is a quotation mark before it not closed?",
        )
    for name in rows.table.column_names:
        if pa.types.is_large_string(rows.table[name].type):
            rows.report(
                pc.greater(pc.binary_length(rows.column(name)), CELL), f"its {name} is over a million bytes long"
            )


def _check_targets(rows: ManifestRows) -> None:
    if rows.has("label"):
        label = rows.column("label")
        rows.report(pc.is_null(label), "it has no label")
        rows.report(
            pc.match_substring_regex(label, r"[\x00-\x1f]"),
            "its label holds a line break; is a quotation mark before it not closed?",
        )
    _check_split(rows)


def _check_ids(rows: ManifestRows) -> None:
    codes, _ = rows.codes("id")
    first = np.zeros(len(codes), bool)
    first[np.unique(codes, return_index=True)[1]] = True
    rows.report(codes < 0, "it has no id")
    rows.report(~first, "its id is that of an earlier row")


def _check_split(rows: ManifestRows) -> None:
    if not rows.has("split"):
        return
    codes, texts = rows.codes("split")
    canonical = [SPLIT_NAMES.get(t.lower()) for t in texts.to_pylist()]
    known = np.array([c is not None for c in canonical] + [False])
    rows.report(~known[codes], "its split is none of train, val and test")
    values = pa.array([*canonical, None], pa.large_string()).take(pa.array(codes % (len(canonical) + 1)))
    rows.table = rows.table.set_column(rows.table.column_names.index("split"), "split", values)


def _read_scores(rows: ManifestRows) -> np.ndarray:
    """Make the scores numbers, null where they are none; returns which rows had something else there."""
    if not rows.has("score"):
        return np.zeros(len(rows), bool)
    texts = rows.column("score")
    number = pc.fill_null(pc.match_substring_regex(texts, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$"), False)
    values = pc.if_else(number, texts, None).cast(pa.float64())
    fits = pc.fill_null(pc.less_equal(pc.abs(values), float(np.finfo(np.float32).max)), False)
    place = rows.table.column_names.index("score")
    rows.table = rows.table.set_column(place, "score", pc.if_else(fits, values, None))
    return pc.and_(pc.is_valid(texts), pc.invert(fits)).to_numpy(zero_copy_only=False)
