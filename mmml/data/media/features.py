"""Precomputed features → float32 ``[width]`` or ``[steps, width]``, from ``.npy``."""

import math
import os
from typing import BinaryIO

import numpy as np

from mmml.data.media.base import Limits, MediaError

MAX_VALUES = 100_000_000


def decode(file: BinaryIO, limits: Limits) -> np.ndarray:
    """Load an array that NumPy saved, of any real type; all values must be finite in float32."""
    _shape(file)
    file.seek(0)
    array = np.lib.format.read_array(file, allow_pickle=False).astype(np.float32)
    if not np.isfinite(array).all():
        first = np.argwhere(~np.isfinite(array))[0]
        what = "NaN" if np.isnan(array[tuple(first)]) else "a number that is infinite or too large"
        raise MediaError(f"it holds {what} at {'step' if array.ndim == 2 else 'place'} {first[0]}")
    return np.ascontiguousarray(array)


def probe(file: BinaryIO) -> dict[str, float | int | str]:
    """Return the number of steps (1 for a vector) and the width."""
    *steps, width = _shape(file)
    return {"steps": math.prod(steps), "width": width}


def _shape(file: BinaryIO) -> tuple[int, ...]:
    """Read the shape from the header, and check it against the file's size before memory is
    allocated.
    """
    file.seek(0)
    try:
        if np.lib.format.read_magic(file) != (1, 0):  # later versions are for structured arrays
            raise ValueError
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
    except ValueError:
        raise MediaError("it is no .npy file of numbers, or its header is damaged") from None
    if dtype.kind not in "biuf":
        raise MediaError("it holds Python objects or text, not numbers")
    if len(shape) not in (1, 2) or min(shape) < 1:
        raise MediaError("its shape is neither (width) nor (steps, width) of one or more values")
    values, held = math.prod(shape), os.fstat(file.fileno()).st_size - file.tell()
    if values > MAX_VALUES:
        raise MediaError(f"it claims to hold more than {MAX_VALUES:,} values")
    if values * dtype.itemsize > held:
        raise MediaError(f"it is cut short: {held:,} bytes of {values * dtype.itemsize:,}")
    return shape
