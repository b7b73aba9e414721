"""Whether confidence can be believed, and what belongs to no class at all: fitted on validation, used on test."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples
from mmml.encoders import Embedder
from mmml.episodes import EpisodeShape, ExampleSet, Sampler
from mmml.episodes import Mapping as EpisodeMapping
from mmml.episodes.corruptions import spoiled_values
from mmml.episodes.setup import check_filled
from mmml.errors import UserError, require
from mmml.evaluation.batching import chunks, few_threads
from mmml.evaluation.embed import embed_all, gather_encoded
from mmml.evaluation.panel import Setting, predict
from mmml.evaluation.scaling import COLDEST, HOTTEST, fit_rescaling, rescale
from mmml.methods import Learner
from mmml.similarity.distances import cosine
from mmml.similarity.losses import class_means

CLOSE = 1.001  # times a bound: at it
LEVELS = np.linspace(0, 1, 101)  # of the quantiles that are kept


@dataclass(frozen=True)
class Entry:
    """What validation tells of one mapping, ways and shots.

    Attributes:
        mapping: as in configs.
        temperature, slope: of :func:`mmml.evaluation.scaling.rescale`.
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
        """Log-probabilities that can be believed, ``[…, ways]`` in float64; their order stays."""
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
        kept = np.interp(self.threshold(reject, ways), self.known, np.linspace(0, 1, len(self.known)))
        return 1 - float(kept)


@dataclass(frozen=True)
class Calibration:
    """Entries for the mappings, ways and shots that were tried."""

    entries: tuple[Entry, ...] = ()

    def of(self, mapping: EpisodeMapping | str, ways: int, shots: int) -> Entry | None:
        """The entry of a mapping whose ways and shots are nearest in ratio; None if there is none of that mapping."""
        wanted = str(EpisodeMapping.parse(str(mapping)))

        def far(entry: Entry) -> float:
            return math.hypot(math.log(ways / entry.ways), math.log(max(shots, 1) / entry.shots))

        return min((e for e in self.entries if e.mapping == wanted), key=far, default=None)

    def notes(self, mappings: Iterable[EpisodeMapping]) -> list[str]:
        """Where confidence in these mappings cannot be trusted, in one sentence each."""
        lacking = ", ".join(str(m) for m in mappings if self.of(m, 1, 1) is None)
        found = [f"{lacking}: confidence is not calibrated, because validation cannot play it."] if lacking else []
        for entry in self.entries:
            if not COLDEST * CLOSE < entry.temperature < HOTTEST / CLOSE:
                shape = f"{entry.ways}-way {entry.shots}-shot"
                found.append(
                    f"{entry.mapping} {shape}: the temperature {entry.temperature:.0e} is at the end of its range: "
                    "confidence does not say whether a prediction is right."
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
    learner: Learner, embedded: Samples, sampler: Sampler, settings: Iterable[Setting], episodes: int
) -> Calibration:
    """Fit confidences and novelties, a pure function of its arguments.

    Settings of other tasks than classification, and mappings in which the split cannot fill the shape, are left out.

    Args:
        learner: finished; its task is classification.
        embedded: the samples of the validation split, by :func:`mmml.evaluation.embed.embed_all`.
        sampler: of that split.
        settings: the columns of the panel.
        episodes: of each.
    """
    steady = embed_all(learner, embedded, set(embedded.columns) - spoiled_values(sampler.corruptions))
    entries, fixed = [], replace(embedded, columns={**embedded.columns, **steady.columns})  # what is spoiled stays raw
    for setting in settings:
        played = tuple(m for m in setting.mappings if _can_fill(sampler, setting.shape, m))
        if not setting.task.gives_probabilities or not played:
            continue
        column = replace(setting, mappings=played)
        with few_threads(setting.shape, embedded, learner):
            rescalings = _rescalings(learner, embedded, sampler, column, episodes)
            met, novelties = _novelties(learner, fixed, sampler, column, episodes)
        for mapping, several in novelties.items():
            known, unknown = (np.quantile(n, LEVELS).tolist() for n in several)
            shape, (temperature, slope) = setting.shape, rescalings[mapping]
            entries.append(Entry(str(mapping), shape.ways, shape.shots, temperature, known, unknown, met, slope))
    return Calibration(tuple(entries))


def _can_fill(sampler: Sampler, shape: EpisodeShape, *mappings: EpisodeMapping) -> bool:
    try:
        check_filled(sampler, shape, mappings, "episode.eval")
    except UserError:
        return False
    return True


def _rescalings(
    learner: Learner, embedded: Samples, sampler: Sampler, setting: Setting, episodes: int
) -> dict[EpisodeMapping, tuple[float, float]]:
    parts: dict[EpisodeMapping, list[tuple[np.ndarray, np.ndarray]]] = {}
    for played in predict(learner, embedded, sampler, setting, episodes):
        part = played.predictions.flatten(0, 1).cpu().numpy(), played.targets.flatten().cpu().numpy()
        parts.setdefault(played.mapping, []).append(part)
    return {m: fit_rescaling(*map(np.concatenate, zip(*several, strict=True))) for m, several in parts.items()}


def _novelties(
    learner: Learner, embedded: Samples, sampler: Sampler, setting: Setting, episodes: int
) -> tuple[int, dict[EpisodeMapping, tuple[np.ndarray, np.ndarray]]]:
    """How many classes a query meets, and the novelty of known and of unknown queries, each ``[n]``.

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
        m: (torch.cat(known).cpu().numpy(), torch.cat(unknown).cpu().numpy()) for m, (known, unknown) in parts.items()
    }


def class_distances(embedder: Embedder, support: ExampleSet, query: ExampleSet) -> Tensor:
    """The cosine distance of queries to the mean of the support embeddings of each class, ``[B, q, ways]``."""
    s, q = (embedder.fuse(side.encode(embedder.encode)) for side in (support, query))
    return cosine(q, class_means(s, support.labels.to(s.device)))
