"""Baselines that learn nothing; they stand in the same table as what was learned."""

from collections.abc import Mapping

from mmml.datasets import Per
from mmml.encoders import build_embedder, encoders
from mmml.methods import Learner
from mmml.methods.metric import MetricLearner
from mmml.registry import Registry
from mmml.tasks import Task

baselines = Registry("baseline", "mmml.evaluation")
"""Functions ``(modalities of the dataset, task) -> Learner``. Chance stands in every table anyway."""


@baselines.register("raw/nearest")
def raw_nearest(modalities: Mapping[str, Per], task: Task) -> Learner:
    """The nearest support item on raw inputs, by cosine distance (pixels, for images)."""
    raw = {m: {"name": f"raw_{m}"} for m in modalities if f"raw_{m}" in encoders.names()}
    embedder = build_embedder({"width": 1, "normalize": False, "fusion": "mean", **raw}, raw)
    options = {"temperature": 1.0, "learn_temperature": False}
    learner = MetricLearner(embedder, task, "cosine", "prototypical", "nearest", **options)
    learner.name, learner.baseline = "raw", True
    return learner
