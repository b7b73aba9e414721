"""A cache of decoded media files: each file is decoded once, into a memory-mapped file."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from mmml.data.cache import cached_folder, key_of
from mmml.data.duplicates import DIGEST, digest_of
from mmml.data.media import VERSION, Limits, is_constant
from mmml.data.media.pool import Failure, Pool
from mmml.data.values import Ragged, file_identity
from mmml.errors import UserError
from mmml.files import write_json

# The files of an entry of the cache
PARTS = ("data.bin", "shapes.npy", "digests.npy", "about.json")
DTYPES = {
    "image": np.uint8,
    "video": np.uint8,
    "audio": np.float32,
    "strokes": np.float32,
    "features": np.float32,
}


class Decoded(NamedTuple):
    """Decoded files.

    Attributes:
        values: their arrays, in the order of the files; empty for a file that could not be decoded.
        failures: the reason, in one sentence, for each position that failed.
        constant: positions of images and videos with a single value throughout, and of silent
            audio.
    """

    values: Ragged
    failures: dict[int, str]
    constant: list[int]


def decode_files(modality: str, paths: Sequence[Path], limits: Limits) -> Decoded:
    """Decode files, or read them from the cache if the same files were decoded before.

    Args:
        modality: of all files.
        paths: absolute.
        limits: sizes and rates to decode to.
    """
    key = key_of(
        {"version": VERSION, "limits": asdict(limits), "files": [file_identity(p) for p in paths]}
    )
    return cached_folder(
        f"{modality}-{key}",
        lambda empty: _decode_into(empty, modality, paths, limits),
        lambda folder: _read(folder, modality, key),
    )


def _read(folder: Path, modality: str, key: str) -> Decoded:
    """Read the files decoded before from a folder of the cache.

    Raises:
        OSError, ValueError, KeyError: a file is missing or damaged.
    """
    shapes = np.load(folder / "shapes.npy", allow_pickle=False)
    about = json.loads((folder / "about.json").read_text())
    total = int(shapes.prod(axis=1).sum())
    data = (
        np.memmap(folder / "data.bin", DTYPES[modality], "r")
        if total
        else np.empty(0, DTYPES[modality])
    )
    if len(data) != total:
        raise ValueError(f"data.bin holds {len(data):,} numbers of {total:,}")
    digests = np.load(folder / "digests.npy", allow_pickle=False)
    failures = {int(i): why for i, why in about["failures"].items()}
    return Decoded(Ragged(data, shapes, key, digests), failures, about["constant"])


def decode_whole(modality: str, paths: Sequence[Path], limits: Limits) -> Ragged:
    """Decode the files of a published dataset, of which none may be damaged.

    Raises:
        UserError: a file is damaged.
    """
    values, failures, _ = decode_files(modality, paths, limits)
    if failures:
        i, why = next(iter(failures.items()))
        raise UserError(f"dataset.root: {paths[i].parent.name}/{paths[i].name}: {why}")
    return values


def _decode_into(folder: Path, modality: str, paths: Sequence[Path], limits: Limits) -> bool:
    """Write decoded files into a folder. Returns False, so that the folder is not kept, if a file
    failed only for lack of time or memory.
    """
    shapes, failures, constant, digests = _decode_all(folder / "data.bin", modality, paths, limits)
    np.save(folder / "shapes.npy", table(shapes))
    np.save(folder / "digests.npy", np.array(digests, DIGEST))
    about = {"modality": modality, "limits": asdict(limits), "constant": constant}
    write_json(folder / "about.json", about | {"failures": {i: f.why for i, f in failures.items()}})
    return all(f.lasting for f in failures.values())


def _decode_all(
    target: Path, modality: str, paths: Sequence[Path], limits: Limits
) -> tuple[list[tuple[int, ...]], dict[int, Failure], list[int], list[str]]:
    """Write all arrays to one file; return their shapes, the failures, the constant arrays, and the
    hashes.
    """
    shapes: list[tuple[int, ...]] = []
    failures: dict[int, Failure] = {}
    constant: list[int] = []
    digests: list[str] = []
    bar = tqdm(
        total=len(paths), desc=f"decoding {modality}", unit="file", disable=not sys.stderr.isatty()
    )
    with target.open("wb") as file, Pool() as pool, bar:
        for i, decoded in enumerate(pool.decode(modality, paths, limits)):
            if isinstance(decoded, Failure):
                failures[i] = decoded
            else:
                array = np.ascontiguousarray(decoded, DTYPES[modality])
                file.write(array.tobytes())
                constant += [i] if is_constant(modality, decoded) else []
            shapes.append(() if isinstance(decoded, Failure) else decoded.shape)
            digests.append("" if isinstance(decoded, Failure) else digest_of(array))
            bar.update()
    return shapes, failures, constant, digests


def table(shapes: Sequence[tuple[int, ...]]) -> np.ndarray:
    """Return shapes as ``[n, dimensions]``: zeros for files that failed; vectors among sequences
    get a leading 1.
    """
    dimensions = max((len(s) for s in shapes), default=0) or 1
    return np.array(
        [(1,) * (dimensions - len(s)) + s if s else (0,) * dimensions for s in shapes], np.int64
    ).reshape(-1, dimensions)
