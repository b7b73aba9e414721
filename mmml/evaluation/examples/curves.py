"""Curves of the loss against inner steps, for the report."""

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
"""The name of a learner, and lists ``steps``, ``low``, ``median`` and ``high``."""

TRACED = 200  # episodes whose loss is recorded after each step


@torch.no_grad()
def descents(
    learners: Iterable[Learner], embedded: Samples, sampler: Sampler, setting: EvalSetting
) -> list[Curve]:
    """Return curves of the query loss against inner steps for learners with an inner loop: median
    and quartiles over episodes.

    Args:
        learners: all on the same samples.
        embedded: the embedded test split.
        sampler: of that split.
        setting: its first mapping is used.
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
        if len(losses) > 1:  # else there is no step
            found.append(curve(learner.predictor_name, losses))
    return found


def curve(name: str, losses: np.ndarray, points: int = 200) -> Curve:
    """Return the curve of losses ``[steps + 1, tasks]``: median and quartiles at no more than
    ``points`` steps.
    """
    shown = np.unique(np.linspace(0, len(losses) - 1, points).round().astype(int))
    with np.errstate(invalid="ignore"):  # infinite losses
        low, median, high = np.quantile(losses[shown], [0.25, 0.5, 0.75], axis=1)
    levels = {"low": low, "median": median, "high": high}
    return {"name": name, "steps": shown.tolist()} | {
        k: [finite(x) for x in v.tolist()] for k, v in levels.items()
    }
