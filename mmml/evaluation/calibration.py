"""Calibrated confidence and the rejection of unknown classes, both fitted on validation
episodes.
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

# Bounds of the temperature. The best one is 0 without errors, and infinite for random guesses.
COLDEST, HOTTEST = 1e-4, 1e4
STEEPEST = 2.0
SURE = 0.1  # least relative entropy of a prediction; smaller ones are clipped to it
FLOOR = math.log(np.finfo(np.float32).tiny)  # log of the smallest normal float32; replaces −inf
CLOSE = 1.001  # a temperature within this factor of a bound counts as at the bound
LEVELS = np.linspace(0, 1, 101)  # levels of the novelty quantiles in an entry
CALIBRATION_ERROR = Metric("calibration error", higher_is_better=False)
BINS = 15
IN_A_BIN = 20  # least number of predictions in a bin, so that its noise can be estimated


@dataclass(frozen=True)
class Entry:
    """The calibration for one mapping and number of ways and shots.

    The novelty of a query is its cosine distance to the nearest class mean of the support set.

    Attributes:
        mapping: as in configs.
        ways, shots: of the validation episodes.
        temperature, slope: arguments of :func:`rescale`.
        known: quantiles of the novelty of queries whose class is in the support set, equally spaced
            from 0 to 100 %.
        unknown: the same for queries whose class is not in the support set.
        met: the number of classes that the unknown queries were compared with.
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
        """Return calibrated log-probabilities, float64 ``[…, ways]``; their order is unchanged."""
        return rescale(log_probabilities, self.temperature, self.slope)

    def threshold(self, reject: float, ways: int) -> float:
        """Return the novelty that a share ``reject`` of the queries of unknown classes exceeds.

        With more classes, the nearest one is nearer. All of n independent distances exceed t with
        probability P(t)ⁿ, so ``reject`` is converted from ``ways`` classes to the ``met`` classes
        of the quantiles.

        Raises:
            UserError: ``reject`` is not between 0 and 1.
        """
        require(0 < reject < 1, "reject", reject, "a number between 0 and 1")
        share = reject ** (self.met / ways)
        return float(np.interp(1 - share, np.linspace(0, 1, len(self.unknown)), self.unknown))

    def false_reject_rate(self, reject: float, ways: int) -> float:
        """Return the share of queries of known classes that the same threshold rejects, from 0 to
        1.
        """
        kept = np.interp(
            self.threshold(reject, ways), self.known, np.linspace(0, 1, len(self.known))
        )
        return 1 - float(kept)


@dataclass(frozen=True)
class Calibration:
    """The calibration of a learner: one entry for each mapping and number of ways and shots that
    validation played.
    """

    entries: tuple[Entry, ...] = ()

    def of(self, mapping: EpisodeMapping | str, ways: int, shots: int) -> Entry | None:
        """Return the entry of a mapping with the nearest ways and shots (by ratio); None if the
        mapping has no entry.
        """
        wanted = str(EpisodeMapping.parse(str(mapping)))

        def far(entry: Entry) -> float:
            return math.hypot(math.log(ways / entry.ways), math.log(max(shots, 1) / entry.shots))

        return min((e for e in self.entries if e.mapping == wanted), key=far, default=None)

    def notes(self, mappings: Iterable[EpisodeMapping]) -> list[str]:
        """Return messages about mappings in which confidence is not reliable."""
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
        """Return the calibration as plain values, for checkpoints."""
        return {"entries": [asdict(e) for e in self.entries]}

    @classmethod
    def from_plain(cls, content: Mapping[str, Any]) -> "Calibration":
        """Build a calibration from the output of :meth:`plain`."""
        return cls(tuple(Entry(**e) for e in content["entries"]))


@torch.no_grad()
def calibrate(
    learner: Learner,
    embedded: Samples,
    sampler: Sampler,
    settings: Iterable[EvalSetting],
    episodes: int,
) -> Calibration:
    """Fit the calibration of a learner on validation episodes; the result depends only on the
    arguments.

    Settings of tasks other than classification are skipped, and so are mappings for which the split
    has too few samples.

    Args:
        learner: a finished learner for classification.
        embedded: the samples of the validation split, from :func:`mmml.evaluation.embed.embed_all`.
        sampler: of that split.
        settings: the settings to calibrate.
        episodes: number of episodes for each setting.
    """
    steady = embed_all(
        learner, embedded, set(embedded.columns) - corrupted_modalities(sampler.corruptions)
    )
    entries = []
    # Corrupted modalities stay raw, because their embeddings depend on the episode.
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
    """Return the number of classes that a query is compared with, and for each mapping the novelty
    of known and of unknown queries, each ``[n]``.

    Episodes have one more class than the setting, and each query is compared with all but one: an
    unknown query without its own class, a known query without another one. If the split has not
    enough classes, episodes have the size of the setting, and queries are compared with one class
    fewer.
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
    """Return the cosine distance of each query to the mean support embedding of each class,
    ``[B, q, ways]``.
    """
    s, q = (embedder.fuse(side.encode(embedder.encode)) for side in (support, query))
    return cosine(q, class_means(s, support.labels.to(s.device)))


class Reliability:
    """Records the confidence of predictions while episodes are played, for the calibration error.

    Args:
        calibration: applied to the predictions first.
    """

    def __init__(self, calibration: Calibration):
        self.calibration = calibration
        self._parts: dict[
            tuple[EvalSetting, EpisodeMapping], list[tuple[np.ndarray, np.ndarray]]
        ] = {}

    def watch(
        self, setting: EvalSetting, played: EpisodePredictions, scores: dict[Metric, Tensor]
    ) -> None:
        """Record the predictions of some episodes; mappings without calibration are ignored."""
        mapping, _, predictions, targets = played
        entry = self.calibration.of(mapping, setting.shape.ways, setting.shape.shots)
        if not setting.task.per_sample_target and entry is not None:
            confidence = entry.apply(predictions).amax(-1).exp()
            part = confidence.cpu().numpy(), (predictions.argmax(-1) == targets).cpu().numpy()
            self._parts.setdefault((setting, mapping), []).append(part)

    def results(self, learner: Learner, split: str) -> Results:
        """Return rows with the calibration error over all recorded queries.

        The rows have no scores of single episodes.
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
    """Return the calibration error, from 0 to 1, and the half-width of its 95 % interval (None for
    one episode).

    It is the root mean square gap between confidence and accuracy over bins with equal numbers of
    predictions, ``√(Σ_b n_b / n · (accuracy_b − confidence_b)²)``, debiased (Kumar, Liang and Ma,
    2019, section 5): the sampling variance of the gaps is subtracted from their squares, and a
    negative sum becomes 0. Without this, perfectly calibrated predictions would have a positive
    error. The expected calibration error (Guo et al., 2017, equation 3) is the mean absolute gap
    and is not debiased.

    The sampling variance is estimated between episodes, since the queries of one episode are not
    independent. The interval of the sum of squares uses Student's t and the variance of a quadratic
    form in normal variables; the square roots of its ends give the interval of the error.

    Args:
        confidence: the probability of the predicted class, ``[episodes, queries]``; NaN is ignored.
        correct: whether the prediction is right, ``[episodes, queries]``.
        bins: maximum number of bins; fewer if a bin would have fewer than ``IN_A_BIN`` predictions.
    """
    known = ~np.isnan(confidence)
    if not known.any():
        return math.nan, math.nan
    # Leave out episodes in which all predictions are NaN.
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
    """Return the sum of correct − confidence, and the number of predictions, in each bin of each
    episode, ``[episodes, bins]`` each.
    """
    known = ~np.isnan(confidence)
    at = np.nonzero(known)[0], bins_of(confidence[known], bins)
    each, counts = (np.zeros((len(correct), int(at[1].max()) + 1)) for _ in range(2))
    np.add.at(each, at, correct[known] - confidence[known])
    np.add.at(counts, at, 1)
    return each, counts


def bins_of(confidence: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Return the bin of each prediction, ``[n]``; bins have about equal numbers of predictions, and
    equal confidences are in one bin.

    Bins of equal width would be nearly empty where most predictions are confident.
    """
    edges = np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1])
    return np.searchsorted(edges, confidence, side="right")


def rescale(log_probabilities: Tensor, temperature: float, slope: float = 0.0) -> Tensor:
    """Return normalised log-probabilities at another temperature: ``[…, ways]`` → float64
    ``[…, ways]``.

    The temperature of a prediction is ``temperature · max(H, 0.1) ** slope``, where H is its
    relative entropy, from 0 to 1 (its entropy divided by the largest possible). With slope 0 all
    predictions have the same temperature (Guo et al., 2017); otherwise confident predictions have a
    lower one (after Balanya, Maroñas and Ramos, 2022).
    """
    logits = log_probabilities.double().clamp_min(FLOOR)
    return (logits / (temperature * doubt(logits) ** slope).unsqueeze(-1)).log_softmax(-1)


def doubt(logits: Tensor) -> Tensor:
    """Return the relative entropy of each prediction, at least 0.1: ``[…, ways]`` → ``[…]``."""
    logs = logits.log_softmax(-1)
    return (-(logs.exp() * logs).sum(-1) / math.log(max(2, logits.shape[-1]))).clamp(SURE, 1)


def fit_temperature(log_probabilities: np.ndarray, targets: np.ndarray) -> float:
    """Return the temperature with the greatest likelihood of the targets (Guo et al., 2017, section
    4.2).

    The negative log-likelihood of ``softmax(log p / T)`` is convex in 1 / T. The root of its
    derivative is found by Brent's method (1973) in log T, in float64.

    Args:
        log_probabilities: ``[n, ways]``; −inf is replaced by the log of the smallest normal
            float32. Predictions with NaN, of tasks whose adaptation diverged, are ignored.
        targets: the right class of each prediction, ``[n]``.

    Returns:
        The temperature, from 0.0001 to 10,000 inclusive; 1 if it makes no difference.
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
    """Return the temperature and the slope of :func:`rescale` with the greatest likelihood of the
    targets.

    L-BFGS-B starts from the result of :func:`fit_temperature`, which has the same arguments, and
    slope 0. If no prediction is wrong, the one with the median confidence is added as a wrong one.
    The slope is from 0 to 2, so that confident predictions stay more confident than others.
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
    """Add a copy of the prediction with the median confidence, whose target is its second most
    probable class.

    Predictions ``[n, ways]`` and targets ``[n]`` become one longer. So right predictions alone
    never give certainty (the rule of succession, Laplace 1774).
    """
    sureness = np.exp(logits.max(-1))
    median = int(np.argsort(sureness, kind="stable")[len(sureness) // 2])
    runner_up = int(np.argsort(-logits[median], kind="stable")[1])
    return np.vstack([logits, logits[median : median + 1]]), np.append(targets, runner_up)


def _likelihood(
    log_probabilities: np.ndarray, targets: np.ndarray
) -> Callable[[float, float], tuple[float, float, float]]:
    """Return a function of log temperature and slope: the mean negative log-likelihood, and its two
    partial derivatives.
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
