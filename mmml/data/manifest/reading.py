"""From a table or a folder to the rows of a manifest and the problem of each row."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmml.data.manifest.folders import split_of
from mmml.data.manifest.likely import read_named, tell_likely
from mmml.data.manifest.meaning import (
    KNOWN,
    MISSPELT,
    TARGETS,
    TEXTS,
    VECTORS,
    explode,
    holds_vectors,
    interpret,
    tidy,
)
from mmml.data.manifest.records import has_vectors
from mmml.data.manifest.rows import ManifestRows
from mmml.data.manifest.sheet import TEXT, Sheet
from mmml.data.media import FILE_MODALITIES
from mmml.errors import UserError, did_you_mean

CELL = 1 << 20  # bytes that one cell may have
NAME = 60  # characters of a text that is used as the id of its row
UNCLOSED = "is a quotation mark before it not closed?"
CONTROL = r"[\x00-\x1f]"


def read_rows(
    root: str, option: str, columns: Mapping[str, str], matrix: bool = False, targets: bool = True
) -> ManifestRows:
    """Read a manifest and find the problems of its rows, without opening a media file.

    Args:
        root: a manifest or its folder.
        option: the option that gave it, for messages.
        columns: the names that the file uses for some columns, such as ``{"text": "caption"}``.
        matrix: whether features are in a separate file.
        targets: whether to check labels, scores and splits; those of queries are not checked.

    Raises:
        UserError: the manifest cannot be read, or has no column with a modality.
    """
    path, sheet = read_named(root, option)
    where = "predict.columns" if option in ("support", "query") else "dataset.columns"
    if not targets:  # columns that queries may lack
        columns = {
            m: n for m, n in columns.items() if n in sheet.table.column_names or m not in TARGETS
        }
    named, ignored = interpret(sheet.table, columns, path, where)
    named = {n: values for n, values in named.items() if values.null_count < len(values)}
    named, origin, several = explode(named, len(sheet.table))
    named, notes = tidy(named, path if path.is_dir() else path.parent)
    modalities = [m for m in FILE_MODALITIES if m in named]
    if not (modalities or set(TEXTS) & set(named) or matrix or has_vectors(path)):
        raise _no_modality(path, sheet, ignored, where)
    if not (explicit := "id" in named):
        named["id"] = _ids(named, modalities, len(origin))
    rows = ManifestRows(path, option, pa.table(named), origin, ignored, left_out=sheet.left_out)
    rows.notes = [*sheet.notes, *_unread(sheet, ignored), *notes]
    tell_likely(rows, sheet, matrix)
    for row, why in sheet.problems.items():
        rows.report(origin == row, why)
    _check_values(rows, modalities)
    bad_scores = _read_scores(rows, sheet.decimal)
    if targets:
        _check_targets(rows, several, bad_scores)
    if explicit:
        _check_ids(rows)
    return rows


def _unread(sheet: Sheet, ignored: list[str]) -> list[str]:
    return [
        f"column {name!r} holds vectors; {VECTORS}"
        for name in ignored
        if holds_vectors(sheet.table[name])
    ]


def _ids(named: Mapping[str, pa.Array], modalities: list[str], count: int) -> pa.Array:
    """Return the ids of rows without an id: a file name, a text, or the row's number."""
    numbers = pa.array(np.arange(1, count + 1)).cast(TEXT)
    short = [pc.utf8_slice_codeunits(named[t], 0, NAME) for t in reversed(TEXTS) if t in named]
    return pc.coalesce(*(named[m] for m in modalities), *short, numbers)


def _no_modality(path: Path, sheet: Sheet, ignored: list[str], where: str) -> UserError:
    wanted = [name for name in KNOWN if name.endswith("_file_name")] + ["text"]
    hints = [hint for name in ignored if (hint := did_you_mean(name, wanted, MISSPELT))]
    vectors = [VECTORS] if any(map(holds_vectors, sheet.table.columns)) else []
    notes = "".join(f"; {note}" for note in (*sheet.notes, *vectors))
    matrices = sorted(path.parent.glob("*.npy")) if path.is_file() else []
    option = where.replace("columns", "features")
    beside = f"; to use the matrix beside it, add {option}={matrices[0].name}" if matrices else ""
    return UserError(
        f"{path} has no column with a modality, such as image_file_name or "
        f"text{hints[0] if hints else ''} (it has {', '.join(sheet.table.column_names)}; "
        f"name another by {where}='{{text: NAME}}'{notes}{beside})"
    )


def _check_values(rows: ManifestRows, modalities: list[str]) -> None:
    """Add a problem to each row with a path or cell that no run accepts."""
    for modality in modalities:
        path = rows.column(modality)
        outside = pc.match_substring_regex(path, r"^([/\\]|[A-Za-z]:)|(^|[/\\])\.\.([/\\]|$)")
        rows.report(
            outside, f"its {modality} file lies outside of the folder; paths are relative to it"
        )
        why = (
            f"its {modality} file name holds a line break or another control character; {UNCLOSED}"
        )
        rows.report(pc.match_substring_regex(path, CONTROL), why)
    for name in rows.table.column_names:
        rows.report(
            pc.greater(pc.binary_length(rows.column(name)), CELL),
            f"its {name} is over a million bytes long",
        )


def _check_targets(rows: ManifestRows, several: np.ndarray, bad_scores: np.ndarray) -> None:
    rows.report(
        several,
        "it lists several labels, scores, splits, groups or domains, but a row has only one",
    )
    if rows.has("label"):
        label = rows.column("label")
        rows.report(pc.is_null(label), "it has no label")
        rows.report(
            pc.match_substring_regex(label, CONTROL), f"its label holds a line break; {UNCLOSED}"
        )
    _check_split(rows)
    rows.report(bad_scores, "its score is no number")


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
    canonical = [split_of(t) for t in texts.to_pylist()]
    known = np.array([c is not None for c in canonical] + [False])
    rows.report(~known[codes], "its split is none of train, val and test")
    rows.replace(
        "split", pa.array([*canonical, None], TEXT).take(pa.array(codes % (len(canonical) + 1)))
    )


def _read_scores(rows: ManifestRows, decimal: str) -> np.ndarray:
    """Convert scores to numbers, with null for all else; return the rows that had something else,
    bool ``[rows]``.
    """
    if not rows.has("score"):
        return np.zeros(len(rows), bool)
    texts = pc.utf8_trim_whitespace(rows.column("score"))
    # With a decimal comma, the point in 1.234 may separate thousands; such scores are refused.
    if decimal != "." and pc.any(pc.match_substring(texts, decimal)).as_py():
        texts = pc.replace_substring(pc.replace_substring(texts, ".", "?"), decimal, ".")
    number = pc.fill_null(
        pc.match_substring_regex(texts, r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,2})?$"), False
    )
    values = pc.if_else(number, texts, None).cast(pa.float64())
    fits = pc.fill_null(pc.less_equal(pc.abs(values), float(np.finfo(np.float32).max)), False)
    rows.replace("score", pc.if_else(fits, values, None))
    return pc.and_(pc.is_valid(texts), pc.invert(fits)).to_numpy(zero_copy_only=False)
