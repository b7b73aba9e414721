"""Summaries of videos (``evaluation.summaries``): how well what is predicted of each frame agrees with people.

From a few videos of a class, whose frames have scores, those of every frame of another video are predicted. Random
summaries overlap much with those of people, so that correlations say more (Otani et al., 2019).
"""

import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np
import torch

from mmml.data.annotated_video import Footage, summary
from mmml.data.base import Samples
from mmml.episodes import EpisodeShape, Mapping, of_one_class
from mmml.errors import UserError
from mmml.evaluation.embed import gather_encoded
from mmml.evaluation.panel import Panel, Setting, every_mapping
from mmml.evaluation.statistics import interval
from mmml.methods import Learner, Role
from mmml.tasks import Metric
from mmml.tasks.regression import Regression

TAU, RHO, F = Metric("Kendall τ", percent=False), Metric("Spearman ρ", percent=False), Metric("F")
PLACES = np.linspace(0, 1, 101)  # in a video, of what is known by time alone
DRAWS = 5  # supports of each test video, and random summaries
ROUNDING = 1e-6  # relative, in float32: so little may lie between frames that matter alike


class Summary(Regression):
    """Scores of all frames of a video, judged together; not to be chosen as ``task=``."""

    name = "summary"
    metrics: ClassVar[tuple[Metric, ...]] = (TAU, RHO, F)


def summary_settings(several: Sequence[int], settings: Sequence[Setting], samples: Samples) -> list[Setting]:
    """What ``evaluation.summaries`` asks for: as many shots as videos in the support set.

    Raises:
        UserError: another task, samples that are no frames, or too many videos.
    """
    if not several:
        return []
    option = f"evaluation.summaries={list(several)}"
    if not settings[0].task.needs_scores:
        raise UserError(f"{option} needs scores of frames: set task=regression, or leave it empty")
    if samples.footage is None:
        raise UserError(f"{option} needs samples that are frames of videos, and this dataset has none: leave it empty")
    fewest = min(len(videos) for videos in by_class(samples).values())
    if max(several) >= fewest:
        curves = f"{option} and a video to summarise need {max(several) + 1} of a class"
        raise UserError(f"{curves}, and one has {fewest}: ask for fewer")
    return [Setting(Summary(), EpisodeShape(1, count, 1), tuple(every_mapping(settings))) for count in several]


@torch.no_grad()
def summary_panel(learner: Learner, embedded: Samples, settings: Iterable[Setting], seed: int) -> Panel:
    """Every test video, by so many others of its class, some times; intervals are over videos.

    Args:
        learner: of ``task=regression``.
        embedded: the samples of the test split, frames of videos.
        settings: see :func:`summary_settings`.
        seed: ``evaluation.seed``.
    """
    panel = Panel()
    for setting in settings:
        for mapping in setting.known_to(learner):
            every = [
                (v, predicted(learner, embedded, mapping, v, s)) for v, s in draws(embedded, setting.shape.shots, seed)
            ]
            scores = np.array([judged(importance, video) for video, importance in every])
            add(panel, setting, mapping, learner, scores.reshape(-1, DRAWS, len(Summary.metrics)).mean(1))
    return panel


def predicted(learner: Learner, embedded: Samples, mapping: Mapping, video: Footage, support: np.ndarray) -> np.ndarray:
    """How much each frame of a video matters, ``[f]``, by frames of others."""
    drawn = of_one_class(support, video.rows)
    shown, query = gather_encoded(learner, embedded, drawn, [mapping]).view(mapping)
    found: np.ndarray = learner.adapt(shown)(query)[0].double().cpu().numpy()
    return found


def by_class(samples: Samples) -> dict[int, list[Footage]]:
    """The videos of each class."""
    found: dict[int, list[Footage]] = {}
    for video in samples.footage or ():
        found.setdefault(int(samples.labels[video.rows[0]]), []).append(video)
    return found


def draws(samples: Samples, several: int, seed: int) -> Iterator[tuple[Footage, np.ndarray]]:
    """Each video ``DRAWS`` times, with the frames of others of its class, the same for all learners."""
    rng = np.random.default_rng([seed, several])
    for videos in by_class(samples).values():
        for i, video in enumerate(videos):
            others = [v for k, v in enumerate(videos) if k != i]
            for _ in range(DRAWS):
                chosen = rng.choice(len(others), several, replace=False)
                yield video, np.concatenate([others[c].rows for c in chosen])


def judged(importance: np.ndarray, video: Footage) -> tuple[float, float, float]:
    """τ and ρ with each annotator's scores, and F with each annotator's summary, each the mean over annotators.

    Where all frames matter alike, any summary is as good: that of random scores is judged.
    """
    if np.ptp(importance) <= ROUNDING * np.abs(importance).max():
        return at_random(video, np.random.default_rng(zlib.crc32(video.name.encode())))
    return *correlations(importance, video.annotations), overlap_with_people(importance, video)


def overlap_with_people(importance: np.ndarray, video: Footage) -> float:
    """F of the summary that scores ask for and that of each annotator, the mean over annotators."""
    shown = summary(video.spread(importance), video.segments, video.budget)
    return float(np.mean([overlap(shown, theirs) for theirs in video.summaries]))


def correlations(importance: np.ndarray, annotations: np.ndarray) -> tuple[float, float]:
    """Kendall's τ-b and Spearman's ρ, the mean over annotators; 0 where one of the two is constant."""
    from scipy.stats import kendalltau, spearmanr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of constant scores
        found = [[kendalltau(importance, a)[0], spearmanr(importance, a)[0]] for a in annotations]
    tau, rho = np.nan_to_num(np.array(found)).mean(0)
    return float(tau), float(rho)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """F of two summaries, bool ``[frames]``: twice what both show, as a share of what they show."""
    together = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / together if together else 1.0


def people(video: Footage) -> tuple[float, float, float]:
    """Each annotator judged by all others: what agreement can be expected."""
    every = range(len(video.annotations))
    found = []
    for i in every:
        rest = [k for k in every if k != i]
        overlaps = [overlap(video.summaries[i], video.summaries[k]) for k in rest]
        found.append([*correlations(video.annotations[i], video.annotations[rest]), float(np.mean(overlaps))])
    tau, rho, f = np.mean(found, axis=0)
    return float(tau), float(rho), float(f)


def at_random(video: Footage, rng: np.random.Generator) -> tuple[float, float, float]:
    """Random scores: no correlation, but some overlap."""
    return 0.0, 0.0, float(np.mean([overlap_with_people(rng.random(len(video.rows)), video) for _ in range(DRAWS)]))


def by_time(train: Samples) -> np.ndarray:
    """How much frames of the training split matter by their place in a video alone, from its first to its last."""
    curves = [np.interp(PLACES, np.linspace(0, 1, len(v.rows)), v.annotations.mean(0)) for v in train.footage or ()]
    found: np.ndarray = np.mean(curves, axis=0)
    return found


def floor_panel(samples: Samples, train: Samples | None, settings: Sequence[Setting], seed: int) -> Panel:
    """What people, random scores and time alone reach on the same videos.

    People only where there are several annotators, time only where there is a training split.
    """
    panel, rng, footage = Panel(), np.random.default_rng(seed), samples.footage or ()
    if not settings:
        return panel
    known = {"chance": np.array([at_random(v, rng) for v in footage])}
    if train is not None:
        curve = by_time(train)
        curves = [np.interp(np.linspace(0, 1, len(v.rows)), PLACES, curve) for v in footage]
        known["position prior"] = np.array([judged(t, v) for t, v in zip(curves, footage, strict=True)])
    if all(len(v.annotations) > 1 for v in footage):
        known["human agreement"] = np.array([people(v) for v in footage])
    for setting in settings:
        for mapping in setting.mappings:
            for name, scores in known.items():
                add(panel, setting, mapping, None, scores, name)
    return panel


def add(
    panel: Panel, setting: Setting, mapping: Mapping, learner: Learner | None, scores: np.ndarray, name: str = ""
) -> None:
    """Cells of the scores of videos, ``[videos, metrics]``, of a learner, or of what has a name alone."""
    for metric, each in zip(setting.task.metrics, scores.T, strict=True):
        mean, ci95 = interval(each)
        cell = setting.cell("test", mapping, metric, learner, episodes=len(each), mean=mean, ci95=ci95)
        role = cell.role if name in ("", "chance") else Role.REFERENCE
        panel.add(replace(cell, predictor=name or cell.predictor, role=role), each)
