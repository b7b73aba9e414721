"""Pen strokes → float32 ``[points, 4]``, from JSON."""

import json
import os
from typing import Any, BinaryIO

import numpy as np

from mmml.data.media.base import Limits, MediaError

MAX_BYTES = 16_000_000


def decode(file: BinaryIO, limits: Limits) -> np.ndarray:
    """Decode points in drawing order: x, y, time, number of the stroke, counted from 0.

    The JSON is a list of strokes. Each stroke is a list of points, and each point is ``[x, y]`` or
    ``[x, y, t]``, the same in the whole file. Without times, the time of a point is its position
    among all points, counted from 0.
    """
    strokes = _strokes(file)
    points = np.array([p for stroke in strokes for p in stroke], np.float64)
    times = points[:, 2] if points.shape[1] == 3 else np.arange(len(points))
    numbers = np.repeat(np.arange(len(strokes)), [len(stroke) for stroke in strokes])
    array = np.column_stack([points[:, :2], times, numbers]).astype(np.float32)
    if not np.isfinite(array).all():
        raise MediaError("it holds a number that is not finite or too large")
    return array


def probe(file: BinaryIO) -> dict[str, float | int | str]:
    """Return the number of strokes and the total number of points."""
    strokes = _strokes(file)
    return {"strokes": len(strokes), "points": sum(map(len, strokes))}


def _strokes(file: BinaryIO) -> list[list[list[float]]]:
    if file.seek(0, os.SEEK_END) > MAX_BYTES:
        raise MediaError(f"it has more than {MAX_BYTES:,} bytes")
    file.seek(0)
    try:
        strokes = json.loads(file.read())
    except RecursionError:
        raise MediaError("it is nested too deeply to be a list of strokes") from None
    except ValueError as error:
        raise MediaError(f"it is no JSON: {error}") from None
    if not isinstance(strokes, list) or not strokes:
        raise MediaError("it is not a list of one or more strokes")
    length = None
    for i, stroke in enumerate(strokes):
        if not isinstance(stroke, list) or not stroke:
            raise MediaError(f"stroke {i} is not a list of one or more points")
        for j, point in enumerate(stroke):
            length = length or _length(point)
            if not length or _length(point) != length:
                raise MediaError(
                    f"point {j} of stroke {i} is not [x, y] or [x, y, t] in numbers, "
                    "as all should be"
                )
    return strokes


def _length(point: Any) -> int:
    """Return the length of a point, 2 or 3; 0 if it is not a point."""
    if not isinstance(point, list) or not all(type(v) in (int, float) for v in point):
        return 0
    return len(point) if len(point) in (2, 3) else 0
