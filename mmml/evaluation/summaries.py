"""Summaries of videos (``evaluation.summaries``): how well what is predicted of each frame agrees with people.

From a few videos of a class, whose frames have scores, those of every frame of another video are predicted. Random
summaries overlap much with those of people, so that correlations say more (Otani et al., 2019).
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from mmml.datasets import Samples
from mmml.datasets.footage import Footage, summary
from mmml.episodes import Episodes, Mapping, Shape
from mmml.errors import UserError
from mmml.evaluation.embed import gathered
from mmml.evaluation.panel import Cell, Panel
from mmml.evaluation.statistics import interval
from mmml.methods import Learner
from mmml.tasks import Metric, Task

TAU, RHO = Metric("Kendall τ", percent=False), Metric("Spearman ρ", percent=False)
F = Metric("F")
METRICS = (TAU, RHO, F)
DRAWS = 5  # supports of each test video, and random summaries
TASK = "summary"


def check_summaries(several: Sequence[int], samples: Samples, task: Task) -> None:
    """Refuse what cannot be played: another task, videos that are none, or too many in a support set."""
    if not several:
        return
    option = f"evaluation.summaries={list(several)}"
    if not task.needs_scores:
        raise UserError(f"{option} needs scores of frames: set task=regression, or leave it empty")
    if samples.footage is None:
        raise UserError(f"{option} needs samples that are frames of videos, and this dataset has none: leave it empty")
    fewest = min(len(videos) for videos in by_class(samples).values())
    if max(several) >= fewest:
        raise UserError(f"{option} and a video to summarise need {max(several) + 1} of a class, and one has {fewest}")


@torch.no_grad()
def summary_panel(
    learner: Learner, embedded: Samples, mappings: Iterable[Mapping], several: Sequence[int], seed: int
) -> Panel:
    """Every test video, by so many others of its class, some times; intervals are over videos.

    Args:
        learner: of ``task=regression``.
        embedded: the samples of the test split, frames of videos.
        mappings: to be played.
        several: videos in the support set.
        seed: ``evaluation.seed``.
    """
    panel = Panel()
    for mapping in mappings if embedded.footage else ():
        if mapping.modalities <= set(learner.embedder.encoders):
            for count in several:
                every = [(v, predicted(learner, embedded, mapping, v, s)) for v, s in draws(embedded, count, seed)]
                scores = np.array([judged(importance, video) for video, importance in every])
                add(panel, learner, mapping, count, scores.reshape(-1, DRAWS, len(METRICS)).mean(1))
    return panel


def predicted(learner: Learner, embedded: Samples, mapping: Mapping, video: Footage, support: np.ndarray) -> np.ndarray:
    """How much each frame of a video matters, ``[f]``, by frames of others."""
    shape = Shape(1, len(support), len(video.rows))
    nothing = np.zeros((1, 1))
    drawn = Episodes(shape, nothing.astype(np.int64), support[None, None], video.rows[None, None], nothing)
    shown, asked = gathered(learner, embedded, drawn, [mapping]).view(mapping)
    found: np.ndarray = learner.adapt(shown)(asked)[0].double().cpu().numpy()
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
    """τ and ρ with each annotator's scores, and F with each annotator's summary, each the mean over annotators."""
    tau, rho = correlations(importance, video.annotations)
    shown = summary(video.spread(importance), video.segments, video.budget)
    return tau, rho, float(np.mean([overlap(shown, theirs) for theirs in video.summaries]))


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
    found = [judged(rng.random(len(video.rows)), video)[2] for _ in range(DRAWS)]
    return 0.0, 0.0, float(np.mean(found))


def floor_panel(samples: Samples, mappings: Iterable[Mapping], several: Sequence[int], seed: int) -> Panel:
    """What people and random scores reach on the same videos; people only where there are several annotators."""
    panel, rng, footage = Panel(), np.random.default_rng(seed), samples.footage or ()
    known = {"chance": np.array([at_random(v, rng) for v in footage])} if several and footage else {}
    if known and all(len(v.annotations) > 1 for v in footage):
        known["people"] = np.array([people(v) for v in footage])
    for mapping in mappings:
        for name, scores in known.items():
            for count in several:
                add(panel, name, mapping, count, scores)
    return panel


def add(panel: Panel, who: Learner | str, mapping: Mapping, several: int, scores: np.ndarray) -> None:
    """Cells of the scores of videos, ``[videos, metrics]``, of a learner or of what has a name alone."""
    if isinstance(who, str):
        name, baseline, transductive = who, True, False
    else:
        name, baseline, transductive = who.predictor_name, who.baseline, who.transductive
    for metric, each in zip(METRICS, scores.T, strict=True):
        mean, ci95 = interval(each)
        cell = Cell(
            split="test",
            task=TASK,
            predictor=name,
            baseline=baseline,
            support=list(mapping.support),
            query=list(mapping.query),
            ways=1,
            shots=several,
            episodes=len(each),
            candidates=None,
            transductive=transductive,
            metric=metric.name,
            percent=metric.percent,
            higher_is_better=True,
            mean=mean,
            ci95=ci95,
        )
        panel.add(cell, each)
