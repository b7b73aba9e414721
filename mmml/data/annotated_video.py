"""Videos whose frames are samples, with the importance of each frame by human annotators."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Footage:
    """One video and the importance of its frames.

    Attributes:
        name: of the video.
        rows: the rows of the dataset that hold the f sampled frames, in order, ``[f]``.
        picks: the positions of the sampled frames in the video, ``[f]``; each stands for all frames
            up to the next one.
        annotations: the importance of each sampled frame by each annotator, ``[annotators, f]``.
        segments: first and last frame of each segment, ``[segments, 2]``; a summary shows whole
            segments.
        summaries: the frames that each annotator's summary shows, bool ``[annotators, frames]``.
        budget: the share of the video that a summary may show, from 0 to 1.
    """

    name: str
    rows: np.ndarray
    picks: np.ndarray
    annotations: np.ndarray
    segments: np.ndarray
    summaries: np.ndarray
    budget: float

    @property
    def frames(self) -> int:
        """The number of frames of the whole video."""
        return int(self.summaries.shape[1])

    def spread(self, importance: np.ndarray) -> np.ndarray:
        """Repeat values of the sampled frames ``[…, f]`` for all frames ``[…, frames]``."""
        return np.repeat(importance, np.diff(self.picks, append=self.frames), axis=-1)


def summary(importance: np.ndarray, segments: np.ndarray, budget: float) -> np.ndarray:
    """Return the best summary: which frames it shows, bool ``[frames]``.

    It shows the whole segments with the largest sum of importance, by a 0/1 knapsack (Song et al.,
    2015): the value of a segment is the mean importance of its frames, as in published code, and
    its weight is its length. The segments shown have at most a share ``budget`` of the frames.

    Args:
        importance: of each frame, ``[frames]``.
        segments: first and last frame of each, ``[segments, 2]``.
        budget: from 0 to 1.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    importance = np.nan_to_num(importance, nan=0.0, posinf=0.0, neginf=0.0)
    importance = importance - min(importance.min(), 0)  # else frames below 0 are never chosen
    lengths = segments[:, 1] - segments[:, 0] + 1
    value = np.array([importance[a : b + 1].mean() for a, b in segments])
    room = LinearConstraint(
        lengths[None].astype(float), -np.inf, int(budget * len(importance) + 1e-9)
    )
    value = value / (value.max() or 1)  # the solver's tolerances are absolute
    exactly = {"mip_rel_gap": 0}
    found = milp(
        -value,
        constraints=room,
        integrality=np.ones(len(value)),
        bounds=Bounds(0, 1),
        options=exactly,
    )
    shown = np.zeros(len(importance), bool)
    for (a, b), chosen in zip(segments, found.x.round().astype(bool), strict=True):
        shown[a : b + 1] = chosen
    return shown
