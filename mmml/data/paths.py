"""Paths of a pen, ``[points, 2]``: how long they are, and what lies at a given length."""

import numpy as np


def lengths(path: np.ndarray) -> np.ndarray:
    """How much of the path is drawn at each of its points, ``[points]``."""
    return np.append(0, np.hypot(*np.diff(path, axis=0).T).cumsum())


def at(path: np.ndarray, drawn: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """The points of a path at some places.

    Args:
        path: ``[points, 2]``.
        drawn: how far each of its points is along it, in any measure, ``[points]``.
        distances: in the same measure, ``[n]``.

    Returns:
        ``[n, 2]``, on the straight lines between the points.
    """
    return np.stack([np.interp(distances, drawn, path[:, axis]) for axis in (0, 1)], axis=1)
