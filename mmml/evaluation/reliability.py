"""The calibration of a panel: how far confidence is from accuracy in each of its cells."""

import numpy as np
from torch import Tensor

from mmml.episodes import Mapping
from mmml.evaluation.calibration import Calibration
from mmml.evaluation.panel import Panel, Setting
from mmml.methods import Learner
from mmml.tasks import Metric

ECE = Metric("ECE", higher_is_better=False)
BINS = 15
RESAMPLES = 1000


class Reliability:
    """Keeps the confidences of a panel while it is played.

    Args:
        calibration: that is applied to them first.
    """

    def __init__(self, calibration: Calibration):
        self.calibration = calibration
        self._parts: dict[tuple[Setting, Mapping], list[tuple[np.ndarray, np.ndarray]]] = {}

    def watch(self, setting: Setting, mapping: Mapping, predictions: Tensor, targets: Tensor) -> None:
        """Take in the predictions of some episodes; those of other tasks than classification are passed over."""
        if setting.task.gives_probabilities:
            shape = setting.shape
            believed = self.calibration.apply(mapping, shape.ways, shape.shots, predictions)
            confidence = believed.amax(-1).exp()
            part = confidence.cpu().numpy(), (predictions.argmax(-1) == targets).cpu().numpy()
            self._parts.setdefault((setting, mapping), []).append(part)

    def panel(self, learner: Learner, split: str) -> Panel:
        """A cell of ECE, pooled over the queries of all episodes, for each that was watched.

        There is no score of single episodes. The interval is 1.96 standard errors, by the
        bootstrap over episodes (Efron, 1979).
        """
        panel = Panel()
        for (setting, mapping), several in self._parts.items():
            confidence, correct = map(np.concatenate, zip(*several, strict=True))  # [episodes, queries]
            mean, ci95 = ece_interval(confidence, correct)
            cell = setting.cell(split, mapping, ECE, learner, episodes=len(correct), mean=mean, ci95=ci95)
            panel.add(cell, np.empty(0))
        return panel


def ece_interval(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> tuple[float, float | None]:
    """The expected calibration error, and half the width of its 95 % interval (None for one episode).

    How far confidence is from accuracy, from 0 to 1: ``Σ_b n_b / n · |accuracy_b − confidence_b|``, over
    bins of equally many predictions (Naeini et al., 2015; Guo et al., 2017, equation 3).

    Args:
        confidence: the probability of the predicted class, ``[episodes, queries]``.
        correct: whether it was right, likewise.
        bins: at most so many.
    """
    episodes, places = len(correct), bins_of(confidence, bins)
    gaps = np.zeros((episodes, int(places.max()) + 1))
    np.add.at(gaps, (np.arange(episodes)[:, None], places), correct - confidence)
    mean = float(np.abs(gaps.sum(0)).sum() / correct.size)
    if episodes < 2:
        return mean, None
    drawn = np.random.default_rng(0).multinomial(episodes, np.full(episodes, 1 / episodes), RESAMPLES)
    return mean, float(1.96 * (np.abs(drawn @ gaps).sum(-1) / correct.size).std(ddof=1))


def bins_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of every prediction, ``[n]``, so that bins hold equally many; equal confidences share one.

    Bins of equal width would leave most of them nearly empty where most predictions are sure.
    """
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, confidence, side="right")
