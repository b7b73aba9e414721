"""JSON lines and Parquet: tables with typed values, which are converted to texts."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mmml.data.manifest.sheet import LIST, TEXT, Sheet, assemble, portions
from mmml.errors import UserError

VECTORS = "features"  # the vector column of a Parquet file


def read_jsonl(path: Path) -> Sheet:
    """Read one JSON object per line; a key that a line lacks is missing there. Numbers keep their
    spelling.

    Raises:
        UserError: a line is not a JSON object; the message names it.
    """
    problems: dict[int, str] = {}
    table = assemble(_columns(some) for some in portions(_objects(path, problems)))
    return Sheet(table, problems)


def _objects(path: Path, problems: dict[int, str]) -> Iterator[dict[str, Any]]:
    count = 0
    with path.open("rb") as file:
        for number, line in enumerate(file):
            where = f"{path}: line {number + 1}"
            try:
                text = line.decode("utf-8-sig" if number == 0 else "utf-8").strip()
            except UnicodeDecodeError:
                raise UserError(f"{where} is not UTF-8; save the file as UTF-8") from None
            if not text:
                continue
            try:
                row = DECODER.decode(text)
            except (ValueError, RecursionError) as error:
                raise UserError(f"{where} is no JSON ({str(error)[:100]})") from None
            if not isinstance(row, dict):
                raise UserError(f'{where} is no JSON object: write {{"label": …, …}}')
            values = {key: as_text(value) for key, value in row.items()}
            if any(map(_is_broken, [*values, *values.values()])):
                problems[count] = "it holds half of a character (a lone surrogate)"
                values = {
                    k: None if _is_broken(v) else v for k, v in values.items() if not _is_broken(k)
                }
            yield values
            count += 1


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object; raises a ``ValueError`` if a key appears twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"key {next(n for n in names if names.count(n) > 1)!r} appears twice")
    return found


class Numeral(str):
    """A number in its original spelling."""


def _constant(name: str) -> Numeral | None:
    return None if name == "NaN" else Numeral(name)


DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_float=Numeral, parse_int=Numeral, parse_constant=_constant
)


def _columns(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def as_text(value: Any, within: bool = False) -> Any:
    """Return a value as a text or a list of texts; None if it is missing."""
    if value is None or value == "" or value == [] or value != value:  # NaN differs from itself
        return None
    if isinstance(value, str):
        return str(value)
    if isinstance(value, list) and not within:
        return [as_text(v, within=True) or "" for v in value]
    return (
        _as_json(value)
        if isinstance(value, list | tuple | dict | bool | int | float)
        else str(value)
    )


def _as_json(value: Any) -> str:
    """Convert a value to JSON; numbers keep their spelling."""
    if isinstance(value, Numeral):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_as_json(k)}: {_as_json(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_as_json, value)) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)


def _is_broken(value: Any) -> bool:
    """Whether a text, or one of a list, cannot be encoded as UTF-8."""
    for text in value if isinstance(value, list) else [value or ""]:
        try:
            text.encode()
        except UnicodeEncodeError:
            return True
    return False


def read_parquet(path: Path) -> Sheet:
    """Read all columns except a vector column ``features``, which
    :mod:`mmml.data.manifest.features` reads in parts.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(path, columns=[n for n in pq.read_schema(path).names if n != VECTORS])
    texts, notes = {}, []
    for name in table.column_names:
        try:
            texts[name] = _texts(table[name])
        except (pa.ArrowException, ValueError, OverflowError) as error:
            # Such as dates outside the range of Python.
            why = " ".join(str(error).split())[:100]
            notes.append(
                f"column {name!r} of type {table[name].type} cannot be read, "
                f"and is left out ({why})"
            )
        else:
            if texts[name] is None:
                what = (
                    "the bytes of files, which are not read: save each as a file, "
                    "and name these in a column"
                )
                notes.append(f"column {name!r} holds {what}")
    return Sheet(
        pa.table({name: values for name, values in texts.items() if values is not None}),
        notes=notes,
    )


def _texts(values: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """A column as texts or as lists of texts; None if it holds bytes."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        return _texts(values.cast(kind.value_type))
    if pa.types.is_floating(kind):
        values = pc.if_else(pc.is_nan(values), None, values)
    inner = kind.value_type if pa.types.is_list(kind) or pa.types.is_large_list(kind) else None
    try:
        if inner is not None and _has_texts(inner) and not pa.types.is_floating(inner):
            lists = values.cast(LIST)
            return pc.if_else(pc.greater(pc.list_value_length(lists), 0), lists, None)
        if _has_texts(kind):
            texts = values.cast(TEXT)
            return pc.if_else(pc.equal(texts, ""), None, texts)
    except pa.ArrowException:
        pass
    found = values.to_pylist()
    return (
        None
        if any(map(_holds_bytes, found))
        else assemble([{"": [as_text(value) for value in found]}])[""]
    )


def _has_texts(kind: pa.DataType) -> bool:
    """Whether Arrow's texts for a type are readable; not so for durations, which become bare
    numbers, and for UUIDs, which become bytes.
    """
    return not (
        pa.types.is_nested(kind)
        or pa.types.is_duration(kind)
        or isinstance(kind, pa.BaseExtensionType)
    )


def _holds_bytes(value: Any) -> bool:
    """Whether a value is bytes or contains bytes, such as an image stored in the table."""
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, bytes) or any(map(_holds_bytes, parts))


def has_vectors(path: Path) -> bool:
    """Whether a manifest is a Parquet file with a vector column."""
    import pyarrow.parquet as pq

    return path.suffix.lower() == ".parquet" and VECTORS in pq.read_schema(path).names
