"""The cache of frozen encoders' outputs: each sample is encoded only once."""

import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from tqdm import tqdm

from mmml.data.base import Samples
from mmml.data.cache import cached_folder, key_of
from mmml.data.column import Column
from mmml.data.values import Matrix, Subset, Values, identity_of
from mmml.encoders.base import Encoder, evaluating
from mmml.encoders.embedder import Embedder
from mmml.files import write_json, write_npy

PREPARED, VALUES = "prepared", "values.npy"  # prefix of cache entries; the file in each
CHUNK = 64  # samples read at a time; it does not change the result


def cache_features(embedder: Embedder, samples: Samples, modalities: Collection[str]) -> Samples:
    """Return the samples with cached outputs of frozen encoders in place of raw values of these
    modalities.
    """
    columns = {
        m: cached_features(embedder, m, c) if m in modalities else c
        for m, c in samples.columns.items()
    }
    return replace(samples, columns=columns)


def cached_features(embedder: Embedder, modality: str, column: Column) -> Column:
    """Return a column with the cached outputs of a frozen encoder; the same column for other
    encoders.
    """
    encoder = cast(Encoder, embedder.encoders[modality])
    if encoder.prepared_key is None or column.prepared:
        return column
    matrix = prepare_once(encoder, column.present)
    values = matrix if column.mask is None else Subset(matrix, column.mask.cumsum(0).numpy() - 1)
    return replace(column, values=values, prepared=True)


def prepare_once(encoder: Encoder, values: Values) -> Matrix:
    """Return the outputs of an encoder's ``prepare`` for all values, from the cache if they are
    there.

    The cache key is a hash of everything that the outputs depend on: the encoder's weights,
    preprocessing and libraries, and the content of the values. What was hashed is written next to
    the outputs.
    """
    about = {
        "encoder": encoder.prepared_key,
        "values": identity_of(values),
        "mode": "eval",
        "dtype": "float32",
    }

    def fill(folder: Path) -> bool:
        with (folder / VALUES).open("wb") as file:
            write_npy(file, len(values), _read(encoder, values))
        write_json(folder / "about.json", about)
        return True

    return cached_folder(
        f"{PREPARED}-{key_of(about)}", fill, lambda folder: Matrix(folder / VALUES)
    )


def _read(encoder: Encoder, values: Values) -> Iterator[np.ndarray]:
    """Yield the outputs of ``prepare`` in evaluation mode, ``CHUNK`` values at a time."""
    bar = tqdm(
        total=len(values),
        desc=f"reading {encoder.modality}",
        unit="sample",
        disable=not sys.stderr.isatty(),
    )
    with evaluating(encoder), bar, torch.no_grad():
        for start in range(0, len(values), CHUNK):
            part = encoder.prepare(values[start : start + CHUNK]).float().cpu().numpy()
            yield part
            bar.update(len(part))
