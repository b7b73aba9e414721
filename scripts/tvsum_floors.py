"""Human agreement and chance on TVSum, computed from its annotations alone."""

import numpy as np
from readings import Found
from results import Baseline, Figure, Published, rounded

from mmml.data.annotated_video import Footage, summary
from mmml.data.datasets.tvsum import BUDGET, Annotated, TVSum, read_annotations
from mmml.evaluation.evaluators.keyframes import VideoSummary, at_random, people
from mmml.evaluation.statistics import interval

EVERY, SHOT = 15, 2.0  # every 15th frame; seconds of a shot
OTANI = "Otani et al. 2019"
PUBLISHED = {
    "Kendall τ": Published(0.177, None, OTANI),
    "Spearman ρ": Published(0.204, None, OTANI),
}


def floors(_: Found) -> list[Figure]:
    """Return the agreement of each of the twenty annotators with all others, and of random scores
    with all annotators.

    Every 15th frame counts, as in the published features. Summaries consist of shots of two
    seconds, the unit of the annotators, and show 15 % of a video. Raises ``UserError`` if
    ``$MMML_DATA`` has no annotations.
    """
    videos = read_annotations(TVSum(None, ["BK"], ["DS"]).annotations())
    rng = np.random.default_rng(0)
    played = [footage(video) for video in videos]
    annotators = np.array([people(made) for made in played])
    chance = np.array([at_random(made, rng) for made in played])
    return [
        Figure(
            "human agreement",
            metric.name,
            unit="",
            higher_is_better=True,
            value=rounded(*interval(ours))[0],
            interval=rounded(*interval(ours))[1],
            over="videos",
            episodes=len(videos),
            published=PUBLISHED.get(metric.name),
            baselines=[
                Baseline(
                    "random scores", *rounded(*interval(theirs)), *rounded(*interval(ours - theirs))
                )
            ],
        )
        for metric, ours, theirs in zip(VideoSummary.metrics, annotators.T, chance.T, strict=True)
    ]


def footage(video: Annotated) -> Footage:
    """Return a video in shots of two seconds, with the best summary for the scores of each
    annotator.
    """
    frames = video.importance.shape[1]
    picks = np.arange(0, frames, EVERY)
    starts = np.arange(0, frames, round(SHOT * frames / video.seconds))
    segments = np.stack([starts, np.append(starts[1:], frames) - 1], axis=1)
    shown = np.array([summary(scores, segments, BUDGET) for scores in video.importance])
    return Footage(
        video.title,
        np.arange(len(picks)),
        picks,
        video.importance[:, picks],
        segments,
        shown,
        BUDGET,
    )
