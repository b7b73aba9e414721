"""Feature vectors of all rows: a ``.npy`` matrix, or a vector column of a Parquet file."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mmml.data.cache import cache_dir, cached_arrays, key_of, scratch_dir
from mmml.data.manifest.records import VECTORS, has_vectors
from mmml.data.manifest.rows import ManifestRows
from mmml.data.values import Matrix, file_identity
from mmml.errors import UserError
from mmml.files import write_atomically, write_npy

log = logging.getLogger(__name__)

CHUNK = 65_536  # rows read at a time


def load_matrix(path: Path, option: str, rows: ManifestRows) -> Matrix:
    """Open a memory-mapped matrix ``[rows, width]`` or ``[rows, steps, width]``.

    Raises:
        UserError: the file is no such matrix, or its number of rows is not that of the table.
    """
    if not path.is_file():
        raise UserError(f"{option}={path}: there is no such file")
    try:
        matrix = Matrix(path)
    except (ValueError, OSError, EOFError) as error:
        raise UserError(
            f"{option}={path} is no .npy matrix ({' '.join(str(error).split())[:120]})"
        ) from None
    array = matrix.array
    if not isinstance(array, np.ndarray):
        raise UserError(
            f"{option}={path} is an archive of arrays, not one matrix: save the right one "
            "by numpy.save, as .npy"
        )
    if array.ndim not in (2, 3) or array.dtype.kind not in "fiu" or 0 in array.shape[1:]:
        shape = "×".join(map(str, array.shape))
        raise UserError(
            f"{option}={path} holds {array.dtype} {shape}; numbers [rows, width] or [rows, "
            "steps, width] are needed"
        )
    count = int(rows.origin.max(initial=-1)) + 1
    if len(matrix) != count:
        raise UserError(f"{option}={path} has {len(matrix)} rows, and {rows.path} {count}")
    return matrix


def vector_column(path: Path) -> Matrix | None:
    """Return the column ``features`` of a Parquet file (lists of one length), copied once to a
    matrix in the cache; None without this column.
    """
    import pyarrow.parquet as pq

    if not has_vectors(path):
        return None
    file = pq.ParquetFile(path)
    target = cache_dir() / f"features-{key_of(file_identity(path))}.npy"
    try:
        return Matrix(target)
    except FileNotFoundError:
        pass
    except (OSError, ValueError, EOFError) as error:  # damaged, or not readable by this user
        log.warning("%s cannot be read (%s) and is made anew", target, error)

    def write(out: Any) -> None:
        write_npy(out, file.metadata.num_rows, _vectors(file, path))

    try:
        write_atomically(target, write)
        return Matrix(target)
    except OSError as error:
        log.warning("%s cannot be written (%s): nothing is cached", target.parent, error)
    target = scratch_dir() / target.name
    write_atomically(target, write)
    return Matrix(target)


def _vectors(file: Any, path: Path) -> Iterator[np.ndarray]:
    """Yield the vectors of some rows at a time, ``[n, width]``."""
    width = None
    kind = file.schema_arrow.field(VECTORS).type
    lists = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    if not lists or not (
        pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)
    ):
        raise UserError(
            f"{path}: column {VECTORS!r} holds {kind}, and not vectors (lists of numbers)"
        )
    for batch in file.iter_batches(columns=[VECTORS], batch_size=CHUNK):
        column = batch.column(0)
        lengths = {*pc.list_value_length(column).to_pylist()} | ({width} if width else set())
        if column.null_count or len(lengths) != 1 or 0 in lengths:
            message = "have different lengths, or some are missing or empty"
            raise UserError(f"{path}: the vectors in column {VECTORS!r} {message}")
        width = lengths.pop()
        # Numbers beyond the range of float32 become infinite; their rows are reported.
        with np.errstate(over="ignore"):
            yield (
                column.flatten()
                .to_numpy(zero_copy_only=False)
                .reshape(len(batch), width)
                .astype(np.float32)
            )


def bad_rows(matrix: Matrix) -> np.ndarray:
    """Return the positions of rows with a number that is not finite; the result is cached."""
    if matrix.array.dtype.kind != "f":
        return np.empty(0, np.int64)

    def find() -> dict[str, np.ndarray]:
        axes = tuple(range(1, matrix.array.ndim))
        parts = []
        for start in range(0, len(matrix), CHUNK):
            with np.errstate(over="ignore"):  # numbers beyond the range of float32 become infinite
                chunk = matrix.array[start : start + CHUNK].astype(matrix.dtype, copy=False)
            parts.append(start + np.flatnonzero(~np.isfinite(chunk).all(axis=axes)))
        return {"rows": np.concatenate(parts) if parts else np.empty(0, np.int64)}

    return cached_arrays("finite", {"matrix": matrix.identity}, find)["rows"]
