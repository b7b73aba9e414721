"""Resampling of drawings to points along their ink."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmml.encoders.sequences import as_float


def resampled(drawings: Iterable[Any], count: int) -> Tensor:
    """Return drawings ``[points, 4]`` of any lengths as ``[n, count, 3]``: x, y and whether a
    stroke starts.

    Points are evenly spaced along the ink and pen-up moves are left out, so that the speed of the
    pen does not matter. Drawings are centred and scaled to root mean square 1; the aspect ratio is
    kept. A drawing without points becomes zeros.
    """
    return torch.from_numpy(np.stack([_resample(as_float(d).numpy(), count) for d in drawings]))


def _resample(drawing: np.ndarray, count: int) -> np.ndarray:
    if len(drawing) == 0:
        return np.zeros((count, 3), np.float32)
    points, stroke = drawing[:, :2].astype(np.float64), drawing[:, 3]
    starts = np.append(True, stroke[1:] != stroke[:-1])
    step = np.hypot(*np.diff(points, axis=0, prepend=points[:1]).T)
    step[starts] = 0
    # A dot has no length: repeat each stroke's first point, at a small distance along the ink.
    dot = 2 * step.sum() / count or 1.0
    order = np.repeat(np.arange(len(points)), 1 + starts)
    again = np.append(False, order[1:] == order[:-1])
    along = np.where(again, dot, step[order]).cumsum()

    at = np.linspace(0, along[-1], count)
    right = np.searchsorted(along, at).clip(1, len(along) - 1)
    left = right - 1
    part = (at - along[left]) / np.maximum(along[right] - along[left], 1e-12)
    xy = points[order[left]] + part[:, None] * (points[order[right]] - points[order[left]])
    xy -= xy.mean(0)
    xy /= max(np.sqrt((xy**2).sum(1).mean()), 1e-6)
    number = stroke[order[right]]
    return np.column_stack([xy, np.append(True, number[1:] != number[:-1])]).astype(np.float32)
