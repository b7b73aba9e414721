"""What people and chance reach on TVSum, from its annotations alone: ``python scripts/tvsum_floors.py [FOLDER]``.

FOLDER holds ``tvsum_annotations/``; by default ``$MMML_DATA``. Each of the twenty annotators is judged by all others,
and random scores by all annotators, at every 15th frame as the published features have it. Published for people (Otani
et al., 2019): Kendall's tau 0.177, Spearman's rho 0.204. Summaries show shots of two seconds, the annotators' unit,
15 % of a video.
"""

import sys

import numpy as np
from tqdm import tqdm

from mmml.data.annotated_video import Footage, summary
from mmml.data.datasets.tvsum import BUDGET, Annotated, TVSum, read_annotations
from mmml.errors import UserError
from mmml.evaluation.evaluators.keyframes import Summary, at_random, people
from mmml.evaluation.statistics import interval

EVERY, SHOT = 15, 2.0  # frames, seconds


def footage(video: Annotated) -> Footage:
    """A video in shots of two seconds, with the summary that each annotator's scores ask for."""
    frames = video.importance.shape[1]
    picks = np.arange(0, frames, EVERY)
    starts = np.arange(0, frames, round(SHOT * frames / video.seconds))
    segments = np.stack([starts, np.append(starts[1:], frames) - 1], axis=1)
    shown = np.array([summary(scores, segments, BUDGET) for scores in video.importance])
    return Footage(video.title, np.arange(len(picks)), picks, video.importance[:, picks], segments, shown, BUDGET)


def main(arguments: list[str]) -> int:
    """Print the table; returns the exit code."""
    try:
        path = TVSum(arguments[0] if arguments else None, ["BK"], ["DS"]).annotations()
    except UserError as error:
        print(f"tvsum_floors.py: {error}", file=sys.stderr)
        return 2
    videos, rng = read_annotations(path), np.random.default_rng(0)
    found: dict[str, list[tuple[float, ...]]] = {"people": [], "random scores": []}
    for video in tqdm(videos, disable=not sys.stderr.isatty()):
        made = footage(video)
        found["people"].append(people(made))
        found["random scores"].append(at_random(made, rng))
    names = [m.name for m in Summary.metrics]
    print(f"| {len(videos)} videos | {' | '.join(names)} |\n| --- |{' --- |' * len(names)}")
    for name, scores in found.items():
        cells = [interval(each) for each in np.array(scores).T]
        print(f"| {name} | {' | '.join(f'{mean:.3f} ± {ci95 or 0:.3f}' for mean, ci95 in cells)} |")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
