"""The calibration of a panel: how far confidence is from accuracy in each of its cells."""

import math

import numpy as np
from scipy.special import stdtrit
from torch import Tensor

from mmml.episodes import Mapping
from mmml.evaluation.calibration import Calibration
from mmml.evaluation.panel import EpisodePredictions, Panel, Setting
from mmml.methods import Learner
from mmml.tasks import Metric

CALIBRATION_ERROR = Metric("calibration error", higher_is_better=False)
BINS = 15
IN_A_BIN = 20  # predictions: of fewer, often of one episode, what chance adds cannot be told


class Reliability:
    """Keeps the confidences of a panel while it is played.

    Args:
        calibration: that is applied to them first.
    """

    def __init__(self, calibration: Calibration):
        self.calibration = calibration
        self._parts: dict[tuple[Setting, Mapping], list[tuple[np.ndarray, np.ndarray]]] = {}

    def watch(self, setting: Setting, played: EpisodePredictions, scores: dict[Metric, Tensor]) -> None:
        """Take in the predictions of some episodes; what is not calibrated is passed over."""
        mapping, _, predictions, targets = played
        entry = self.calibration.of(mapping, setting.shape.ways, setting.shape.shots)
        if setting.task.gives_probabilities and entry is not None:
            confidence = entry.apply(predictions).amax(-1).exp()
            part = confidence.cpu().numpy(), (predictions.argmax(-1) == targets).cpu().numpy()
            self._parts.setdefault((setting, mapping), []).append(part)

    def panel(self, learner: Learner, split: str) -> Panel:
        """A cell of the calibration error, over the queries of all episodes, for each that was watched.

        There is no score of single episodes.
        """
        panel = Panel()
        for (setting, mapping), several in self._parts.items():
            confidence, correct = map(np.concatenate, zip(*several, strict=True))  # [episodes, queries]
            mean, ci95 = calibration_error(confidence, correct)
            cell = setting.cell(split, mapping, CALIBRATION_ERROR, learner, episodes=len(correct), mean=mean, ci95=ci95)
            panel.add(cell, np.empty(0))
        return panel


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> tuple[float, float | None]:
    """How far confidence is from accuracy, from 0 to 1, and half the width of its 95 % interval (None for one episode).

    The root mean square gap between the two, ``√(Σ_b n_b / n · (accuracy_b − confidence_b)²)``, over bins of
    equally many predictions, debiased (Kumar, Liang and Ma, 2019, section 5): what chance adds to the squares
    is taken off, so that the squares are right on average, and 0 stands where less than nothing is left.
    Without that, predictions that are perfectly calibrated would seem not to be. The expected calibration error
    (Guo et al., 2017, equation 3) is the mean gap, and is not debiased.

    Chance is measured by the spread over episodes, whose queries are not independent; the interval is Student's
    t for the sum of squares, whose variance that of a quadratic form in normal numbers is, carried over to its
    root.

    Args:
        confidence: the probability of the predicted class, ``[episodes, queries]``; NaN where there is none, which is
            left out.
        correct: whether it was right, likewise.
        bins: at most so many, of ``IN_A_BIN`` predictions or more where there are two.
    """
    known = ~np.isnan(confidence)
    if not known.any():
        return math.nan, math.nan
    confidence, correct = confidence[known.any(1)], correct[known.any(1)]  # of episodes that did not diverge as a whole
    (each, counts), episodes = by_bin(confidence, correct, max(1, min(bins, known.sum() // IN_A_BIN))), len(correct)
    weights, total = counts.sum(0) / counts.sum(), np.maximum(counts.sum(0), 1)
    gaps = each.sum(0) / total
    if episodes < 2:
        return float(np.sqrt(weights @ gaps**2)), None
    rest = (each - gaps * counts) / total
    spread = episodes / (episodes - 1) * rest.T @ rest  # the covariance of the gaps
    squares = max(0.0, float(weights @ (gaps**2 - np.diag(spread))))
    weighted = weights[:, None] * spread
    by_chance = float((weighted * weighted.T).sum())
    variance = 2 * by_chance + 4 * max(0.0, float((weights * gaps) @ spread @ (weights * gaps)) - by_chance)
    half = float(stdtrit(episodes - 1, 0.975)) * math.sqrt(variance)
    low, error, high = (math.sqrt(max(0.0, s)) for s in (squares - half, squares, squares + half))
    return error, max(error - low, high - error)


def by_bin(confidence: np.ndarray, correct: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The sum of accuracy less confidence in each bin, and the number of predictions, ``[episodes, bins]`` each."""
    known = ~np.isnan(confidence)
    at = np.nonzero(known)[0], bins_of(confidence[known], bins)
    each, counts = (np.zeros((len(correct), int(at[1].max()) + 1)) for _ in range(2))
    np.add.at(each, at, correct[known] - confidence[known])
    np.add.at(counts, at, 1)
    return each, counts


def bins_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of every prediction, ``[n]``, so that bins hold equally many; equal confidences share one.

    Bins of equal width would leave most of them nearly empty where most predictions are sure.
    """
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, confidence, side="right")
