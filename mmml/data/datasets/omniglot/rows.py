"""Rows of a split from the drawings of its characters."""

from collections.abc import Mapping

import numpy as np
import torch

from mmml.data.base import OfficialEpisodes, Samples
from mmml.data.column import Column
from mmml.data.datasets.omniglot.archives import PAPER
from mmml.data.duplicates import identical, if_any
from mmml.data.values import objects
from mmml.errors import UserError


def samples_of(
    names: list[str], images: np.ndarray, points: np.ndarray | None, turns: int
) -> Samples:
    """Return samples of characters and their rotations by 90 degrees; a superclass is an alphabet
    in one rotation.

    Args:
        names: of the characters, such as ``Greek/character03``.
        images: ``[characters, drawings, size, size]``.
        points: of the drawings, ``[characters, drawings]``; None without strokes.
        turns: the number of rotations of each character, 1 to 4.
    """
    turned = torch.stack(
        [torch.from_numpy(images).rot90(t, (-2, -1)) for t in range(turns)], dim=1
    ).flatten(0, 2)
    columns = {"image": Column(turned)}
    if points is not None:
        rows = [turn(p, t) for several in points for t in range(turns) for p in several]
        columns["strokes"] = Column(objects(rows))
    classes = [f"{name}/rot{90 * t:03}" for name in names for t in range(turns)]
    kinds = [f"{name.split('/')[0]}/{t}" for name in names for t in range(turns)]
    starts = np.arange(len(classes) + 1) * images.shape[1]
    duplicates = if_any(identical(turned))  # such as Braille's single dot
    superclasses = np.unique(kinds, return_inverse=True)[1]
    return Samples(classes, starts, columns, duplicates=duplicates, superclasses=superclasses)


class Strokes:
    """The strokes of all drawings, by name.

    Args:
        read: output of :func:`mmml.data.datasets.omniglot.archives.read_strokes`.
    """

    def __init__(self, read: Mapping[str, np.ndarray]):
        parts = np.split(read["points"], read["lengths"].cumsum()[:-1])
        self.points = dict(zip(read["names"].tolist(), parts, strict=True))

    def known(self, drawings: np.ndarray) -> np.ndarray:
        """Return which characters have strokes for all of their drawings ``[characters, drawers]``:
        bool ``[characters]``.
        """
        return np.array(
            [all(name in self.points for name in names) for names in drawings.tolist()], bool
        )

    def of(self, drawings: np.ndarray) -> np.ndarray:
        """Return the points of drawings, which must all have strokes, as an object array of the
        same shape.
        """
        return objects([self.points[name] for name in drawings.ravel().tolist()]).reshape(
            drawings.shape
        )


def turn(points: np.ndarray, times: int) -> np.ndarray:
    """Rotate points by ``times`` · 90 degrees in the direction of ``Tensor.rot90``."""
    x, y, *rest = points.T
    for _ in range(times):
        x, y = y, PAPER - x
    return np.column_stack([x, y, *rest])


def official_episodes(prints: np.ndarray, runs: np.ndarray, turns: int) -> OfficialEpisodes:
    """Return the official runs as episodes of the test split.

    Args:
        prints: hashes of the split's images, ``[characters, drawers]``.
        runs: see :func:`mmml.data.datasets.omniglot.archives.read_runs`.
        turns: the number of rotations of each character.
    """
    position = {p: divmod(i, prints.shape[1]) for i, p in enumerate(prints.ravel().tolist())}
    if missing := set(runs.ravel().tolist()) - set(position):
        raise UserError(
            f"dataset.root: {len(missing)} images of all_runs.zip are none of the "
            "evaluation alphabets'"
        )
    character, drawer = np.array([position[p] for p in runs.ravel().tolist()]).T.reshape(
        2, *runs.shape
    )
    classes = character * turns
    rows = classes * prints.shape[1] + drawer
    return OfficialEpisodes(classes[..., 0], rows[..., :1], rows[..., 1:])
