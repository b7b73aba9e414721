"""Calibrated confidence and the rejection of unknown classes: fitted on validation,
used on test.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.special import stdtrit
from torch import Tensor

from mmml.data.base import Samples
from mmml.encoders import Embedder
from mmml.episodes import EpisodeShape, ExampleSet, Sampler
from mmml.episodes import Mapping as EpisodeMapping
from mmml.episodes.corruptions import corrupted_modalities
from mmml.episodes.setup import check_filled
from mmml.errors import UserError, require
from mmml.evaluation.batching import chunks, few_threads
from mmml.evaluation.embed import embed_all, gather_encoded
from mmml.evaluation.predictions import EpisodePredictions, predict
from mmml.evaluation.results import Results
from mmml.evaluation.setting import EvalSetting
from mmml.methods import Learner
from mmml.similarity.distances import cosine
from mmml.similarity.losses import class_means
from mmml.tasks import Metric

# Predictions that are never wrong ask for 0, those that say nothing for infinity.
COLDEST, HOTTEST = 1e-4, 1e4
STEEPEST = 2.0
SURE = 0.1  # entropies below this, relative to the largest, are all alike
FLOOR = math.log(np.finfo(np.float32).tiny)  # a log-probability that float32 cannot tell from none
CLOSE = 1.001  # times a bound: at it
LEVELS = np.linspace(0, 1, 101)  # of the quantiles that are kept
CALIBRATION_ERROR = Metric("calibration error", higher_is_better=False)
BINS = 15
IN_A_BIN = 20  # predictions: of fewer, often of one episode, what chance adds cannot be told


@dataclass(frozen=True)
class Entry:
    """The calibration of one mapping, ways and shots.

    Attributes:
        mapping: as in configs.
        temperature, slope: of :func:`rescale`.
        known, unknown: the novelty (the cosine distance to the nearest class mean) of queries whose
            class is, or is not, in the support set: the quantiles from 0 to 100 %, equally spaced.
        met: how many classes the unknown queries met.
    """

    mapping: str
    ways: int
    shots: int
    temperature: float
    known: list[float]
    unknown: list[float]
    met: int
    slope: float = 0.0

    def apply(self, log_probabilities: Tensor) -> Tensor:
        """Calibrated log-probabilities, ``[…, ways]`` in float64, in the same order."""
        return rescale(log_probabilities, self.temperature, self.slope)

    def threshold(self, reject: float, ways: int) -> float:
        """The novelty above which this share of queries of unknown classes lies, such as 0.9.

        The more classes there are, the nearer the nearest is: of n independent distances all exceed
        t with the probability P(t)ⁿ, so the share is brought from the classes ``met`` to ``ways``.
        """
        require(0 < reject < 1, "reject", reject, "a number between 0 and 1")
        share = reject ** (self.met / ways)
        return float(np.interp(1 - share, np.linspace(0, 1, len(self.unknown)), self.unknown))

    def false_reject_rate(self, reject: float, ways: int) -> float:
        """The share of queries of known classes that the same threshold rejects, from 0 to 1."""
        kept = np.interp(
            self.threshold(reject, ways), self.known, np.linspace(0, 1, len(self.known))
        )
        return 1 - float(kept)


@dataclass(frozen=True)
class Calibration:
    """Entries for the mappings, ways and shots that were tried."""

    entries: tuple[Entry, ...] = ()

    def of(self, mapping: EpisodeMapping | str, ways: int, shots: int) -> Entry | None:
        """The entry of a mapping whose ways and shots are nearest in ratio; None if there is
        none of that mapping.
        """
        wanted = str(EpisodeMapping.parse(str(mapping)))

        def far(entry: Entry) -> float:
            return math.hypot(math.log(ways / entry.ways), math.log(max(shots, 1) / entry.shots))

        return min((e for e in self.entries if e.mapping == wanted), key=far, default=None)

    def notes(self, mappings: Iterable[EpisodeMapping]) -> list[str]:
        """Sentences that say where confidence in these mappings is not reliable."""
        lacking = ", ".join(str(m) for m in mappings if self.of(m, 1, 1) is None)
        found = (
            [f"{lacking}: confidence is not calibrated, because validation cannot play it."]
            if lacking
            else []
        )
        for entry in self.entries:
            if not COLDEST * CLOSE < entry.temperature < HOTTEST / CLOSE:
                shape = f"{entry.ways}-way {entry.shots}-shot"
                found.append(
                    f"{entry.mapping} {shape}: the temperature {entry.temperature:.0e} is at "
                    "the end of its range: confidence does not say whether a prediction is right."
                )
        return found

    def plain(self) -> dict[str, Any]:
        """As a checkpoint holds it."""
        return {"entries": [asdict(e) for e in self.entries]}

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "Calibration":
        """From what :meth:`plain` gave."""
        return cls(tuple(Entry(**e) for e in content["entries"]))


@torch.no_grad()
def calibrate(
    learner: Learner,
    embedded: Samples,
    sampler: Sampler,
    settings: Iterable[EvalSetting],
    episodes: int,
) -> Calibration:
    """Fit temperatures and novelties, as a pure function of the arguments.

    Settings of other tasks than classification, and mappings in which the split cannot fill
    the shape, are left out.

    Args:
        learner: finished; its task is classification.
        embedded: the samples of the validation split, by :func:`mmml.evaluation.embed.embed_all`.
        sampler: of that split.
        settings: that are played.
        episodes: of each.
    """
    steady = embed_all(
        learner, embedded, set(embedded.columns) - corrupted_modalities(sampler.corruptions)
    )
    entries = []
    # Corrupted modalities stay raw: their embeddings depend on the episode.
    fixed = replace(embedded, columns={**embedded.columns, **steady.columns})
    for setting in settings:
        played = tuple(m for m in setting.mappings if _can_fill(sampler, setting.shape, m))
        if setting.task.per_sample_target or not played:
            continue
        column = replace(setting, mappings=played)
        with few_threads(setting.shape, embedded, learner):
            rescalings = _rescalings(learner, embedded, sampler, column, episodes)
            met, novelties = _novelties(learner, fixed, sampler, column, episodes)
        for mapping, several in novelties.items():
            known, unknown = (np.quantile(n, LEVELS).tolist() for n in several)
            shape, (temperature, slope) = setting.shape, rescalings[mapping]
            entries.append(
                Entry(
                    str(mapping), shape.ways, shape.shots, temperature, known, unknown, met, slope
                )
            )
    return Calibration(tuple(entries))


def _can_fill(sampler: Sampler, shape: EpisodeShape, *mappings: EpisodeMapping) -> bool:
    try:
        check_filled(sampler, shape, mappings, "episode.eval")
    except UserError:
        return False
    return True


def _rescalings(
    learner: Learner, embedded: Samples, sampler: Sampler, setting: EvalSetting, episodes: int
) -> dict[EpisodeMapping, tuple[float, float]]:
    parts: dict[EpisodeMapping, list[tuple[np.ndarray, np.ndarray]]] = {}
    for played in predict(learner, embedded, sampler, setting, episodes):
        part = (
            played.predictions.flatten(0, 1).cpu().numpy(),
            played.targets.flatten().cpu().numpy(),
        )
        parts.setdefault(played.mapping, []).append(part)
    return {
        m: fit_rescaling(*map(np.concatenate, zip(*several, strict=True)))
        for m, several in parts.items()
    }


def _novelties(
    learner: Learner, embedded: Samples, sampler: Sampler, setting: EvalSetting, episodes: int
) -> tuple[int, dict[EpisodeMapping, tuple[np.ndarray, np.ndarray]]]:
    """How many classes a query meets, and the novelty of known and of unknown queries,
    each ``[n]``.

    Episodes have one class more than the setting. Each query meets all of them but its own, when
    it is unknown, and all of them but another one, when it is known. A split without one class
    more has episodes of its own size, so that the queries meet one class too few.
    """
    shape, mappings = setting.shape, setting.known_to(learner)
    wide = EpisodeShape(shape.ways + 1, shape.shots, shape.queries)
    wide = wide if _can_fill(sampler, wide, *mappings) else shape
    parts: dict[EpisodeMapping, tuple[list[Tensor], list[Tensor]]] = {m: ([], []) for m in mappings}
    for numbers in chunks(episodes if mappings else 0, wide, learner):
        batch = gather_encoded(learner, embedded, sampler.draw(numbers, wide), mappings)
        for mapping in mappings:
            support, query = batch.view(mapping)
            distances = class_distances(learner.embedder, support, query)
            own = query.labels.to(distances.device).unsqueeze(-1)
            for left_out, found in zip(((own + 1) % wide.ways, own), parts[mapping], strict=True):
                found.append(distances.scatter(-1, left_out, torch.inf).amin(-1).flatten())
    return wide.ways - 1, {
        m: (torch.cat(known).cpu().numpy(), torch.cat(unknown).cpu().numpy())
        for m, (known, unknown) in parts.items()
    }


def class_distances(embedder: Embedder, support: ExampleSet, query: ExampleSet) -> Tensor:
    """The cosine distance of queries to the mean of the support embeddings of each class,
    ``[B, q, ways]``.
    """
    s, q = (embedder.fuse(side.encode(embedder.encode)) for side in (support, query))
    return cosine(q, class_means(s, support.labels.to(s.device)))


class Reliability:
    """Keeps the confidences of episodes while they are played.

    Args:
        calibration: that is applied to them first.
    """

    def __init__(self, calibration: Calibration):
        self.calibration = calibration
        self._parts: dict[
            tuple[EvalSetting, EpisodeMapping], list[tuple[np.ndarray, np.ndarray]]
        ] = {}

    def watch(
        self, setting: EvalSetting, played: EpisodePredictions, scores: dict[Metric, Tensor]
    ) -> None:
        """Record the predictions of some episodes; uncalibrated ones are ignored."""
        mapping, _, predictions, targets = played
        entry = self.calibration.of(mapping, setting.shape.ways, setting.shape.shots)
        if not setting.task.per_sample_target and entry is not None:
            confidence = entry.apply(predictions).amax(-1).exp()
            part = confidence.cpu().numpy(), (predictions.argmax(-1) == targets).cpu().numpy()
            self._parts.setdefault((setting, mapping), []).append(part)

    def results(self, learner: Learner, split: str) -> Results:
        """The rows of the calibration error over the queries of all recorded episodes.

        Single episodes have no score.
        """
        results = Results()
        for (setting, mapping), several in self._parts.items():
            # [episodes, queries]
            confidence, correct = map(np.concatenate, zip(*several, strict=True))
            mean, ci95 = calibration_error(confidence, correct)
            about = {"n": len(correct), "mean": mean, "ci95": ci95}
            results.add(setting.result(split, mapping, CALIBRATION_ERROR, learner, **about))
        return results


def calibration_error(
    confidence: np.ndarray, correct: np.ndarray, bins: int = BINS
) -> tuple[float, float | None]:
    """How far confidence is from accuracy, from 0 to 1, and half the width of its 95 % interval
    (None for one episode).

    The root mean square gap between the two, ``√(Σ_b n_b / n · (accuracy_b − confidence_b)²)``,
    over bins of equally many predictions, debiased (Kumar, Liang and Ma, 2019, section 5): what
    chance adds to the squares is taken off, so that the squares are right on average, and 0 stands
    where less than nothing is left. Without that, predictions that are perfectly calibrated would
    seem not to be. The expected calibration error (Guo et al., 2017, equation 3) is the mean gap,
    and is not debiased.

    Chance is measured by the spread over episodes, whose queries are not independent; the interval
    is Student's t for the sum of squares, whose variance that of a quadratic form in normal numbers
    is, carried over to its root.

    Args:
        confidence: the probability of the predicted class, ``[episodes, queries]``; NaN where there
            is none, which is left out.
        correct: whether it was right, likewise.
        bins: at most so many, of ``IN_A_BIN`` predictions or more where there are two.
    """
    known = ~np.isnan(confidence)
    if not known.any():
        return math.nan, math.nan
    # Of episodes that did not diverge as a whole.
    confidence, correct = confidence[known.any(1)], correct[known.any(1)]
    each, counts = by_bin(confidence, correct, max(1, min(bins, known.sum() // IN_A_BIN)))
    episodes = len(correct)
    weights, total = counts.sum(0) / counts.sum(), np.maximum(counts.sum(0), 1)
    gaps = each.sum(0) / total
    if episodes < 2:
        return float(np.sqrt(weights @ gaps**2)), None
    rest = (each - gaps * counts) / total
    spread = episodes / (episodes - 1) * rest.T @ rest  # the covariance of the gaps
    squares = max(0.0, float(weights @ (gaps**2 - np.diag(spread))))
    weighted = weights[:, None] * spread
    by_chance = float((weighted * weighted.T).sum())
    variance = 2 * by_chance + 4 * max(
        0.0, float((weights * gaps) @ spread @ (weights * gaps)) - by_chance
    )
    half = float(stdtrit(episodes - 1, 0.975)) * math.sqrt(variance)
    low, error, high = (math.sqrt(max(0.0, s)) for s in (squares - half, squares, squares + half))
    return error, max(error - low, high - error)


def by_bin(confidence: np.ndarray, correct: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """The sum of accuracy less confidence in each bin, and the number of predictions,
    ``[episodes, bins]`` each.
    """
    known = ~np.isnan(confidence)
    at = np.nonzero(known)[0], bins_of(confidence[known], bins)
    each, counts = (np.zeros((len(correct), int(at[1].max()) + 1)) for _ in range(2))
    np.add.at(each, at, correct[known] - confidence[known])
    np.add.at(counts, at, 1)
    return each, counts


def bins_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of every prediction, ``[n]``, so that bins hold equally many;
    equal confidences share one.

    With bins of equal width most would be nearly empty where most predictions are confident.
    """
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, confidence, side="right")


def rescale(log_probabilities: Tensor, temperature: float, slope: float = 0.0) -> Tensor:
    """Log-probabilities at another temperature, normalised: ``[…, ways]`` → the same, in float64.

    The temperature of a prediction is ``temperature · max(H, 0.1) ** slope``, where H is its
    entropy relative to the largest, from 0 to 1: it is constant for a slope of 0 (Guo et al.,
    2017), else it falls with how sure the prediction is (after Balanya, Maroñas and Ramos, 2022).
    """
    logits = log_probabilities.double().clamp_min(FLOOR)
    return (logits / (temperature * doubt(logits) ** slope).unsqueeze(-1)).log_softmax(-1)


def doubt(logits: Tensor) -> Tensor:
    """The entropy of each prediction relative to the largest, 0.1 if it is less:
    ``[…, ways]`` → ``[…]``.
    """
    logs = logits.log_softmax(-1)
    return (-(logs.exp() * logs).sum(-1) / math.log(max(2, logits.shape[-1]))).clamp(SURE, 1)


def fit_temperature(log_probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The temperature at which the right classes are most likely (Guo et al., 2017, section 4.2).

    The negative log-likelihood of ``softmax(log p / T)`` is convex in 1 / T: the root of its
    slope is found by Brent's method (1973) on log T, in float64.

    Args:
        log_probabilities: ``[n, ways]``; none (−inf) counts as the smallest of float32.
            What is NaN, of a task whose adaptation diverged, has no confidence, and is left out.
        targets: the right class of each, ``[n]``.

    Returns:
        From 0.0001 to 10,000, the bounds included; 1 if T makes no difference.
    """
    from scipy.optimize import brentq

    likelihood = _likelihood(log_probabilities, targets)

    def slope(log_temperature: float) -> float:
        return float(likelihood(log_temperature, 0.0)[1])

    low, high = math.log(COLDEST), math.log(HOTTEST)
    if slope(low) == slope(high) == 0:
        return 1.0
    if slope(low) >= 0:
        return COLDEST
    return HOTTEST if slope(high) <= 0 else math.exp(brentq(slope, low, high, xtol=1e-6))


def fit_rescaling(log_probabilities: np.ndarray, targets: np.ndarray) -> tuple[float, float]:
    """The temperature and the slope of :func:`rescale` at which the right classes are most likely.

    Arguments as of :func:`fit_temperature`, from whose result, at slope 0, L-BFGS-B descends.
    If no prediction is wrong, the median one counts as wrong once. The slope is from 0 to 2:
    a sure prediction is never made less sure than a doubtful one.
    """
    from scipy.optimize import minimize

    known = ~np.isnan(log_probabilities).any(-1)
    if known.any() and (log_probabilities.argmax(-1) == targets)[known].all():
        log_probabilities, targets = with_one_wrong(log_probabilities[known], targets[known])
    likelihood = _likelihood(log_probabilities, targets)
    start = [math.log(fit_temperature(log_probabilities, targets)), 0.0]
    bounds = [(math.log(COLDEST), math.log(HOTTEST)), (0.0, STEEPEST)]

    def objective(at: np.ndarray) -> tuple[float, np.ndarray]:
        value, *gradient = likelihood(float(at[0]), float(at[1]))
        return value, np.array(gradient)

    log_temperature, slope = minimize(objective, start, jac=True, bounds=bounds).x
    return math.exp(log_temperature), float(slope)


def with_one_wrong(logits: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predictions ``[n, ways]`` and targets ``[n]``, and the median one once more with its
    runner-up as target.

    So right predictions alone never give certainty (the rule of succession, Laplace 1774).
    """
    sureness = np.exp(logits.max(-1))
    median = int(np.argsort(sureness, kind="stable")[len(sureness) // 2])
    runner_up = int(np.argsort(-logits[median], kind="stable")[1])
    return np.vstack([logits, logits[median : median + 1]]), np.append(targets, runner_up)


def _likelihood(
    log_probabilities: np.ndarray, targets: np.ndarray
) -> Callable[[float, float], tuple[float, float, float]]:
    """(log temperature, slope) → the mean negative log-likelihood, and its
    derivatives by the two.
    """
    known = ~np.isnan(log_probabilities).any(-1)
    logits = np.maximum(np.asarray(log_probabilities, np.float64)[known], FLOOR)
    if not len(logits):
        return lambda log_temperature, slope: (0.0, 0.0, 0.0)
    doubts = np.log(doubt(torch.from_numpy(logits)).numpy())
    logits = logits - logits.max(-1, keepdims=True)
    right = np.take_along_axis(logits, np.asarray(targets)[known, None], -1).squeeze(-1)

    def likelihood(log_temperature: float, slope: float) -> tuple[float, float, float]:
        inverse = np.exp(-log_temperature - slope * doubts)
        weights = np.exp(logits * inverse[:, None])
        total = weights.sum(-1)
        by_log_temperature = inverse * (right - (weights * logits).sum(-1) / total)
        value = np.log(total) - inverse * right
        return (
            float(value.mean()),
            float(by_log_temperature.mean()),
            float((by_log_temperature * doubts).mean()),
        )

    return likelihood
