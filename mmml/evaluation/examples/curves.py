"""The loss against steps of adaptation, for the report."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from mmml.data.base import Samples
from mmml.episodes import Sampler
from mmml.evaluation.batching import chunks
from mmml.evaluation.embed import gather_encoded
from mmml.evaluation.setting import EvalSetting
from mmml.evaluation.statistics import finite
from mmml.methods import Learner

Curve = dict[str, Any]
"""``name``, and lists ``steps``, ``low``, ``median`` and ``high``."""

TRACED = 200  # episodes whose losses are followed step by step


@torch.no_grad()
def descents(
    learners: Iterable[Learner], embedded: Samples, sampler: Sampler, setting: EvalSetting
) -> list[Curve]:
    """The loss on queries against steps of adaptation, of those that take steps: median and
    quartiles over episodes.

    Args:
        learners: on the same samples.
        embedded: of the test split.
        sampler: of that split.
        setting: its first mapping is played.
    """
    found = []
    for learner in learners:
        if not learner.has_inner_loop:
            continue
        parts = []
        for numbers in chunks(sampler.at_most(TRACED), setting.shape, learner):
            batch = gather_encoded(
                learner, embedded, sampler.draw(numbers, setting.shape), setting.mappings[:1]
            )
            parts.append(learner.trace(*batch.view(setting.mappings[0])).double().cpu().numpy())
        losses = np.concatenate(parts, axis=1)
        if len(losses) > 1:  # else it takes no step
            found.append(curve(learner.predictor_name, losses))
    return found


def curve(name: str, losses: np.ndarray, points: int = 200) -> Curve:
    """Median and quartiles of ``[steps + 1, tasks]``, at no more steps than a figure can show."""
    shown = np.unique(np.linspace(0, len(losses) - 1, points).round().astype(int))
    with np.errstate(invalid="ignore"):  # of losses that are infinite
        low, median, high = np.quantile(losses[shown], [0.25, 0.5, 0.75], axis=1)
    levels = {"low": low, "median": median, "high": high}
    return {"name": name, "steps": shown.tolist()} | {
        k: [finite(x) for x in v.tolist()] for k, v in levels.items()
    }
