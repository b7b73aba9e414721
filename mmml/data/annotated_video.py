"""Videos whose samples are single frames, with what people think of each."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Footage:
    """One video.

    Attributes:
        name: what it is called.
        rows: of its frames that are samples, in order, ``[f]``.
        picks: which frames of the video these are, ``[f]``; each stands for all up to the next.
        annotations: how much each annotator thinks that each of these frames matters,
            ``[annotators, f]``.
        segments: first and last frame of the video's segments, ``[segments, 2]``:
            a summary shows whole ones.
        summaries: which frames each annotator's summary shows, bool ``[annotators, frames]``.
        budget: the share of the video that a summary may show.
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
        """Of the whole video."""
        return int(self.summaries.shape[1])

    def spread(self, importance: np.ndarray) -> np.ndarray:
        """From the frames that are samples, ``[…, f]``, to all of the video, ``[…, frames]``."""
        return np.repeat(importance, np.diff(self.picks, append=self.frames), axis=-1)


def summary(importance: np.ndarray, segments: np.ndarray, budget: float) -> np.ndarray:
    """Which frames the best summary shows, bool ``[frames]``: whole segments,
    of the largest sum of worth.

    A 0/1 knapsack (Song et al., 2015): each segment is worth the mean importance of its frames,
    as common code has it, and weighs its length; all of them together weigh at most a share
    ``budget`` of the video.

    Args:
        importance: of each frame, ``[frames]``.
        segments: first and last frame of each, ``[segments, 2]``.
        budget: from 0 to 1.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    importance = np.nan_to_num(importance, nan=0.0, posinf=0.0, neginf=0.0)
    importance = importance - min(importance.min(), 0)  # else what is below 0 would never be shown
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
