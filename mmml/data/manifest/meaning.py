"""The meaning of a table's columns: labels, texts, scores, file names."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmml.data.manifest.files import is_file
from mmml.data.manifest.folders import MODALITY_OF_SUFFIX
from mmml.data.manifest.sheet import LIST, TEXT
from mmml.data.media import FILE_MODALITIES
from mmml.errors import UserError, did_you_mean, many

TEXTS = ("text", "source_text")
KEYS = ("label", "split", "group", "domain")  # columns whose equal values group rows
TARGETS = (*KEYS, "score")
PLAIN = ("id", *TARGETS, *TEXTS)
KNOWN = (*PLAIN, *(f"{m}_file_name" for m in FILE_MODALITIES))
# Words that may be values, or may mean that a value is missing.
DOUBTFUL = ("nan", "null", "none", "na", "n/a", "<na>", "nat")
MISSPELT = 0.75  # similarity above which a column's name counts as a misspelling of a known one
NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
VECTORS = (
    "vectors are read from a column called features of a Parquet file, or from a matrix "
    "beside the table"
)
UNSEEN = (
    0xAD,
    0x180E,
    0x200B,
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2060, 0x206A),
    0xFEFF,
)
BLANKS = dict.fromkeys((*UNSEEN, 0xFE0E, 0xFE0F))  # and variation selectors
BLANKS |= dict.fromkeys((0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0x205F, 0x3000), " ")


def interpret(
    table: pa.Table, columns: Mapping[str, str], path: Path, where: str
) -> tuple[dict[str, pa.Array], list[str]]:
    """Assign a meaning to each column.

    Args:
        table: of texts and lists of texts.
        columns: the names that the file uses for some columns, such as ``{"text": "caption"}``.
        path: of the file, for messages.
        where: the option that gave ``columns``.

    Returns:
        Texts or lists of texts by meaning: ``label``, ``text``, …, or a modality for file names;
        and the names of the columns without a meaning.
    """
    names = table.column_names
    meanings = {name: name for name in PLAIN}
    meanings |= {f"{m}_file_name": m for m in FILE_MODALITIES} | {
        f"{m}_file_names": m for m in FILE_MODALITIES
    }
    meanings |= {name: meanings[_plain(name)] for name in names if _is_known(name, names, meanings)}
    if "file_name" in names and (modality := _modality_of(table["file_name"])):
        meanings["file_name"] = modality
    for meaning, name in columns.items():
        if meaning not in (*PLAIN, *FILE_MODALITIES):
            raise UserError(
                f"{where}.{meaning} is no kind of "
                f"column{did_you_mean(meaning, (*PLAIN, *FILE_MODALITIES))}"
            )
        if name not in names:
            raise UserError(
                f"{where}.{meaning}={name}: {path} has no such column{did_you_mean(name, names)}"
            )
        if meaning in FILE_MODALITIES and holds_vectors(table[name]):
            raise UserError(
                f"{where}.{meaning}={name}: {path} has vectors there, and not names "
                f"of files; {VECTORS}"
            )
        meanings = {k: v for k, v in meanings.items() if v != meaning} | {name: meaning}
    found: dict[str, pa.Array] = {}
    for name in (n for n in names if n in meanings):
        if meanings[name] in found:
            raise UserError(
                f"{path} has two columns for {meanings[name]}; say which it is by "
                f"{where}.{meanings[name]}="
            )
        values = table[name].combine_chunks()
        found[meanings[name]] = _split(values) if _plain(name).endswith("_file_names") else values
    return found, [name for name in names if name not in meanings]


def holds_vectors(values: pa.ChunkedArray) -> bool:
    """Whether a column contains lists of numbers, judged by its first value."""
    first = values.drop_null()[:1].to_pylist() if values.type == LIST else []
    return (
        bool(first) and len(first[0]) > 1 and all(re.fullmatch(NUMBER, text) for text in first[0])
    )


def _plain(name: str) -> str:
    return name.strip().lower()


def _is_known(name: str, names: list[str], meanings: Mapping[str, str]) -> bool:
    """Whether a column's name is a known one apart from case and spaces, and no other
    column's is.
    """
    plain = _plain(name)
    return (
        name not in meanings and plain in meanings and [_plain(n) for n in names].count(plain) == 1
    )


def _modality_of(files: pa.ChunkedArray) -> str | None:
    """The modality of most files, by their suffixes; None if no suffix is known."""
    if files.type != TEXT:
        return None
    suffixes = [PurePosixPath(name).suffix.lower() for name in files.drop_null().to_pylist()]
    counts = Counter(MODALITY_OF_SUFFIX[s] for s in suffixes if s in MODALITY_OF_SUFFIX)
    return counts.most_common(1)[0][0] if counts else None


def _split(values: pa.Array) -> pa.Array:
    """Split texts with several file names, separated by ``;``, into lists."""
    if values.type == LIST:
        return values
    return pa.array(
        [v and [f.strip() for f in v.split(";") if f.strip()] for v in values.to_pylist()], LIST
    )


def explode(
    named: dict[str, pa.Array], count: int
) -> tuple[dict[str, pa.Array], np.ndarray, np.ndarray]:
    """Replace each row that lists several files or texts by a row for each; the rows of several
    files form a group.

    A list with one element is repeated to match a longer list; other shorter lists are filled with
    missing values.

    Returns:
        The columns, of texts only; the original row of each row, ``[rows]``; whether it lists
        several labels, or several of another column that has one value per row, ``[rows]``.
    """
    lists = {n: v.to_pylist() for n, v in named.items() if v.type == LIST}
    if not lists:
        return named, np.arange(count), np.zeros(count, bool)
    single = {n for n in lists if n in (*TARGETS, "id")}
    wrong = np.array([any(len(lists[n][i] or ()) > 1 for n in single) for i in range(count)], bool)
    lengths = [
        max([1, *(len(lists[n][i] or ()) for n in lists if n not in single)]) for i in range(count)
    ]
    origin = np.repeat(np.arange(count), lengths)
    exploded = {n: v.take(pa.array(origin)) for n, v in named.items() if n not in lists}
    for n, rows in lists.items():
        cells = [
            c
            for row, k in zip(rows, lengths, strict=True)
            for c in _stretched(row or [], k, n in single)
        ]
        exploded[n] = pa.array([c or None for c in cells], TEXT)
    if "group" not in named and any(n in FILE_MODALITIES for n in lists):
        exploded["group"] = pa.array(origin).cast(TEXT)
    if "id" in named and len(origin) > count:
        numbers = pa.array(np.concatenate([np.arange(k) for k in lengths])).cast(TEXT)
        numbered = pc.binary_join_element_wise(exploded["id"], numbers, pa.scalar("#", TEXT))
        several = pc.and_(
            pa.array(np.repeat(np.array(lengths) > 1, lengths)), _says(exploded["id"])
        )
        exploded["id"] = pc.if_else(several, numbered, exploded["id"])
    return exploded, origin, wrong[origin]


def _stretched(cells: list[str], count: int, single: bool) -> list[str | None]:
    """Return ``count`` cells: the first cell repeated if it is the only one or ``single`` is true,
    else all cells followed by None.
    """
    if single or len(cells) == 1:
        return [cells[0] if cells else None] * count
    return [*cells, *[None] * (count - len(cells))]


def tidy(named: Mapping[str, pa.Array], folder: Path) -> tuple[dict[str, pa.Array], list[str]]:
    """Turn blank cells into missing ones, unify keys that look alike, and strip file names that do
    not exist as written.

    Ids and texts stay unchanged; columns without any value are dropped. Also returns notes on the
    keys.
    """
    found: dict[str, pa.Array] = {}
    notes = []
    for name, values in named.items():
        if name in KEYS:
            found[name], note = _alike(name, values)
            notes += note
        elif name in FILE_MODALITIES:
            found[name] = _files(values, folder)
        else:
            found[name] = pc.if_else(_says(values), values, None)
    return {n: values for n, values in found.items() if values.null_count < len(values)}, notes


def _without_blanks(values: pa.Array) -> pa.Array:
    texts = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(pc.binary_length(texts), 0), None, texts)


def _says(values: pa.Array) -> pa.Array:
    return pc.is_valid(_without_blanks(values))


def _files(values: pa.Array, folder: Path) -> pa.Array:
    """Strip file names, except those of existing files."""
    texts = _without_blanks(values)
    kept = pc.fill_null(pc.not_equal(texts, values), False).to_numpy(zero_copy_only=False).copy()
    for i in np.flatnonzero(kept).tolist():
        kept[i] = is_file(folder / values[i].as_py())
    return pc.if_else(pa.array(kept), values, texts)


def _doubtful(name: str, text: str) -> str:
    return (
        f"{text!r} is read as a {name} like any other; leave the cell empty (or null) "
        "where there is none"
    )


def _alike(name: str, values: pa.Array) -> tuple[pa.Array, list[str]]:
    """Return keys in one spelling (Unicode NFC, ordinary spaces), and notes on keys that were
    written in several ways.
    """
    encoded = values.dictionary_encode()
    written = encoded.dictionary.to_pylist()
    spelt = [
        unicodedata.normalize("NFC", text.translate(BLANKS)).strip() or None for text in written
    ]
    ways: dict[str | None, list[Any]] = defaultdict(list)
    for text, key in zip(written, spelt, strict=True):
        ways[key].append(text)
    several = [key for key, texts in ways.items() if key and len(texts) > 1]
    notes = [
        _doubtful(name, key) for key in sorted({k for k in spelt if k and k.lower() in DOUBTFUL})
    ]
    if several:
        written_in = (
            f"{'is' if len(several) == 1 else 'are'} written in several ways that look alike"
        )
        notes.append(
            f"{many(len(several), name)} {written_in}, such as {several[0]!r}; each counts as one"
        )
    return pa.array(spelt, TEXT).take(encoded.indices), notes
