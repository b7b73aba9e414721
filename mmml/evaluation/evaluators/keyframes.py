"""``keyframes``: video summarization; agreement of the predicted importance of frames with human
annotators.

The importance of each frame of a video is predicted from a few other videos of its class, whose
frames have scores. Rank correlations are more informative than F, because even random summaries
overlap much with human ones (Otani et al., 2019).
"""

import warnings
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from mmml.config.schema import is_count
from mmml.data.annotated_video import Footage, summary
from mmml.data.base import SCORE, Samples
from mmml.data.values import evenly_spaced
from mmml.episodes import EpisodeShape, Mapping, of_one_class
from mmml.errors import UserError, require
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.embed import gather_encoded
from mmml.evaluation.evaluator import Evaluator, Player, evaluators
from mmml.evaluation.examples.videos import video_examples
from mmml.evaluation.results import Result, Results
from mmml.evaluation.setting import EvalSetting
from mmml.evaluation.statistics import interval
from mmml.methods import Learner, Role
from mmml.tasks import Metric
from mmml.tasks.regression import Regression

TAU, RHO, F = Metric("Kendall τ", percent=False), Metric("Spearman ρ", percent=False), Metric("F")
PLACES = np.linspace(0, 1, 101)  # relative times in a video, for the position prior
SHOWN = 3  # videos in a report
DRAWS = 5  # support sets for each test video, and random summaries
ROUNDING = 1e-6  # relative, in float32; smaller differences of importance are ignored
OPTION = "evaluation.keyframes.shots"


class VideoSummary(Regression):
    """The scores of all frames of a video, evaluated together; not available as ``task=``."""

    name = "summary"
    metrics: ClassVar[tuple[Metric, ...]] = (TAU, RHO, F)


@evaluators.register("keyframes")
class KeyFrames(Evaluator):
    """Predicts the importance of the frames of each test video from other videos of its class.

    Each video has several support sets; intervals are over videos.

    Args:
        shots: numbers of videos in the support set, such as ``[1, 4]``.
    """

    name = "keyframes"
    plays = EpisodeContext

    def __init__(self, shots: list[int]):
        require(
            bool(shots) and all(map(is_count, shots)),
            OPTION,
            shots,
            "a list of positive whole numbers",
        )
        self.shots = shots

    def check(self, learner: Learner, context: EpisodeContext) -> None:
        if context.task.target != SCORE:
            raise UserError(
                "evaluation.keyframes needs scores of frames: set task=regression, "
                "or leave keyframes out of evaluation/evaluators"
            )

    def check_samples(self, context: EpisodeContext) -> None:
        samples, option = context.samples["test"], f"{OPTION}={self.shots}"
        if samples.footage is None:
            raise UserError(
                "evaluation.keyframes needs samples that are frames of videos, and this dataset "
                "has none: leave keyframes out of evaluation/evaluators"
            )
        fewest = min(len(videos) for videos in by_class(samples).values())
        if max(self.shots) >= fewest:
            needed = f"{option} and a video to summarise need {max(self.shots) + 1} of a class"
            raise UserError(f"{needed}, and one has {fewest}: ask for fewer")

    @torch.no_grad()
    def run(self, player: Player, context: EpisodeContext) -> Results:
        learner, embedded, results = player.learner, player.samples, Results()
        assert embedded is not None
        for setting in self.settings(context):
            for mapping in setting.known_to(learner):
                drawn = draws(embedded, setting.shape.shots, context.options.seed)
                every = [
                    (v, predicted(learner, embedded, mapping, v, support)) for v, support in drawn
                ]
                scores = np.array([agreement(importance, video) for video, importance in every])
                scores = scores.reshape(-1, DRAWS, len(VideoSummary.metrics)).mean(1)
                results.extend(rows(setting, mapping, learner, scores))
        return results

    def references(self, context: EpisodeContext) -> Results:
        """Return the scores of human agreement, random predictions and the position prior on the
        same videos.

        Human agreement needs several annotators, and the position prior needs a training split.
        """
        rng = np.random.default_rng(context.options.seed)
        footage = context.samples["test"].footage or ()
        known = {"chance": np.array([at_random(v, rng) for v in footage])}
        if context.train is not None:
            curve = by_time(context.train)
            curves = [np.interp(np.linspace(0, 1, len(v.rows)), PLACES, curve) for v in footage]
            known["position prior"] = np.array(
                [agreement(t, v) for t, v in zip(curves, footage, strict=True)]
            )
        if all(len(v.annotations) > 1 for v in footage):
            known["human agreement"] = np.array([people(v) for v in footage])
        results = Results()
        for setting in self.settings(context):
            for mapping in setting.mappings:
                for name, scores in known.items():
                    role = Role.CHANCE if name == "chance" else Role.REFERENCE
                    results.extend(rows(setting, mapping, None, scores, predictor=name, role=role))
        return results

    @torch.no_grad()
    def examples(self, players: Sequence[Player], context: EpisodeContext) -> dict[str, Any]:
        learner = players[0].learner
        embedded = players[0].samples
        setting = self.settings(context)[-1]
        assert embedded is not None
        every = list(draws(embedded, setting.shape.shots, context.options.seed))[::DRAWS]
        chosen = [every[i] for i in evenly_spaced(len(every), SHOWN)]
        mapping = setting.mappings[0]
        found = [
            (video, predicted(learner, embedded, mapping, video, support))
            for video, support in chosen
        ]
        return {"keyframes": video_examples(context.samples["test"], found)}

    def settings(self, context: EpisodeContext) -> list[EvalSetting]:
        """Return one setting for each number of videos in the support set, which is its number of
        shots.
        """
        mappings = tuple(context.mappings)
        return [
            EvalSetting(self.name, VideoSummary(), EpisodeShape(1, count, 1), mappings)
            for count in self.shots
        ]


def rows(
    setting: EvalSetting,
    mapping: Mapping,
    learner: Learner | None,
    scores: np.ndarray,
    **values: Any,
) -> Iterator[Result]:
    """Yield the rows of the scores of videos, ``[videos, metrics]``; without a learner, ``values``
    give predictor and role.
    """
    for metric, each in zip(setting.task.metrics, scores.T, strict=True):
        mean, ci95 = interval(each)
        about = {
            "n": len(each),
            "unit": "videos",
            "mean": mean,
            "ci95": ci95,
            "scores": each,
        } | values
        yield setting.result("test", mapping, metric, learner, **about)


def predicted(
    learner: Learner, embedded: Samples, mapping: Mapping, video: Footage, support: np.ndarray
) -> np.ndarray:
    """Return the predicted importance of each frame of a video, ``[f]``, from the support frames of
    other videos.
    """
    drawn = of_one_class(support, video.rows)
    shown, query = gather_encoded(learner, embedded, drawn, [mapping]).view(mapping)
    found: np.ndarray = learner.adapt(shown)(query)[0].double().cpu().numpy()
    return found


def by_class(samples: Samples) -> dict[int, list[Footage]]:
    """Return the videos of each class."""
    found: dict[int, list[Footage]] = {}
    for video in samples.footage or ():
        found.setdefault(int(samples.labels[video.rows[0]]), []).append(video)
    return found


def draws(samples: Samples, several: int, seed: int) -> Iterator[tuple[Footage, np.ndarray]]:
    """Yield each video ``DRAWS`` times, with the frames of other videos of its class; they are the
    same for all learners.
    """
    rng = np.random.default_rng([seed, several])
    for videos in by_class(samples).values():
        for i, video in enumerate(videos):
            others = [v for k, v in enumerate(videos) if k != i]
            for _ in range(DRAWS):
                chosen = rng.choice(len(others), several, replace=False)
                yield video, np.concatenate([others[c].rows for c in chosen])


def agreement(importance: np.ndarray, video: Footage) -> tuple[float, float, float]:
    """Return τ and ρ with each annotator's scores, and F with each annotator's summary, averaged
    over annotators.

    If all frames are equally important, random scores are used, since any summary is as good.
    """
    if np.ptp(importance) <= ROUNDING * np.abs(importance).max():
        return at_random(video, np.random.default_rng(zlib.crc32(video.name.encode())))
    return *correlations(importance, video.annotations), overlap_with_people(importance, video)


def overlap_with_people(importance: np.ndarray, video: Footage) -> float:
    """Return F of the predicted summary with the summary of each annotator, averaged over
    annotators.
    """
    shown = summary(video.spread(importance), video.segments, video.budget)
    return float(np.mean([overlap(shown, theirs) for theirs in video.summaries]))


def correlations(importance: np.ndarray, annotations: np.ndarray) -> tuple[float, float]:
    """Return Kendall's τ-b and Spearman's ρ, averaged over annotators; 0 if either side is
    constant.
    """
    from scipy.stats import kendalltau, spearmanr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about constant scores
        found = [[kendalltau(importance, a)[0], spearmanr(importance, a)[0]] for a in annotations]
    tau, rho = np.nan_to_num(np.array(found)).mean(0)
    return float(tau), float(rho)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Return F of two summaries, bool ``[frames]``: twice the number of common frames, divided by
    the sum of their lengths.
    """
    together = int(a.sum() + b.sum())
    return 2 * int((a & b).sum()) / together if together else 1.0


def people(video: Footage) -> tuple[float, float, float]:
    """Return the mean agreement of each annotator with all others: human agreement."""
    every = range(len(video.annotations))
    found = []
    for i in every:
        rest = [k for k in every if k != i]
        overlaps = [overlap(video.summaries[i], video.summaries[k]) for k in rest]
        found.append(
            [*correlations(video.annotations[i], video.annotations[rest]), float(np.mean(overlaps))]
        )
    tau, rho, f = np.mean(found, axis=0)
    return float(tau), float(rho), float(f)


def at_random(video: Footage, rng: np.random.Generator) -> tuple[float, float, float]:
    """Return the expected scores of a random summary: no correlation, but some overlap."""
    return (
        0.0,
        0.0,
        float(
            np.mean([overlap_with_people(rng.random(len(video.rows)), video) for _ in range(DRAWS)])
        ),
    )


def by_time(train: Samples) -> np.ndarray:
    """Return the mean importance of training frames by relative time in a video, ``[101]``, from
    the first frame to the last.
    """
    curves = [
        np.interp(PLACES, np.linspace(0, 1, len(v.rows)), v.annotations.mean(0))
        for v in train.footage or ()
    ]
    found: np.ndarray = np.mean(curves, axis=0)
    return found
