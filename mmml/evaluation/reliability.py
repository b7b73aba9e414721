"""The calibration of a panel: how far confidence is from accuracy in each of its cells."""

import numpy as np
from torch import Tensor

from mmml.episodes import Mapping
from mmml.evaluation.calibration import Calibration, bins_of
from mmml.evaluation.panel import Panel, Setting
from mmml.methods import Learner
from mmml.tasks import Metric
from mmml.tasks.classification import Classification

ECE = Metric("ECE", higher_is_better=False)
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
        if isinstance(setting.task, Classification):
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


def ece_interval(confidence: np.ndarray, correct: np.ndarray) -> tuple[float, float | None]:
    """The expected calibration error, and half the width of its 95 % interval (None for one episode).

    Args:
        confidence: ``[episodes, queries]``.
        correct: likewise.
    """
    episodes, bins = len(correct), bins_of(confidence)
    gaps = np.zeros((episodes, int(bins.max()) + 1))
    np.add.at(gaps, (np.arange(episodes)[:, None], bins), correct - confidence)
    mean = float(np.abs(gaps.sum(0)).sum() / correct.size)
    if episodes < 2:
        return mean, None
    drawn = np.random.default_rng(0).multinomial(episodes, np.full(episodes, 1 / episodes), RESAMPLES)
    return mean, float(1.96 * (np.abs(drawn @ gaps).sum(-1) / correct.size).std(ddof=1))
