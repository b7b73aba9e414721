"""Baselines without training, in the same table as learned predictors."""

from collections.abc import Mapping

from mmml.data.base import Granularity, base_modality
from mmml.encoders import Embedder, build_embedder, encoders
from mmml.evaluation.nearest_pair import NearestPair
from mmml.methods import Learner, Role
from mmml.methods.controls import NoSupport
from mmml.methods.metric import MetricLearner
from mmml.registry import Registry
from mmml.similarity import distances
from mmml.tasks import Task

baselines = Registry("baseline", "mmml.evaluation")
"""Functions ``(modalities of the dataset, task) -> list[Learner]``. Chance stands in
every table anyway.
"""

FROZEN_CLASSIFIERS = ("prototype", "ridge", "attention")
# Of the cosine distance on frozen embeddings; the vote of attention depends on it.
TEMPERATURE = 0.07


@baselines.register("raw/nearest")
def raw_nearest(modalities: Mapping[str, Granularity], task: Task) -> list[Learner]:
    """The nearest support item on raw inputs (pixels, for images), by the distance that each
    raw encoder declares.

    One learner for each modality with an encoder ``raw_<modality>``; each knows that modality
    alone, and what is to be found, if that is embedded. Where both are of one kind, their raw
    values are compared with one another too.
    """
    found: list[Learner] = []
    for modality, (encoder, distance) in _raw(modalities).items():
        if not task.embedded_columns:
            found.append(
                _untrained("raw", _alone(modality, encoder), task, distance, "nearest", 1.0)
            )
        elif modality not in task.embedded_columns:
            found += _finds(modality, task, modalities)
    return found


def _raw(modalities: Mapping[str, Granularity]) -> dict[str, tuple[str, str]]:
    """The raw encoder of each modality and its distance, by modality."""
    names = {
        m: f"raw_{base_modality(m)}"
        for m in modalities
        if f"raw_{base_modality(m)}" in encoders.names()
    }
    return {m: (n, encoders.get(n, n).distance or "cosine") for m, n in names.items()}  # type: ignore[attr-defined]


def _finds(modality: str, task: Task, modalities: Mapping[str, Granularity]) -> list[Learner]:
    """Baselines for retrieval on raw values of a modality and of the target,
    which the cosine compares.
    """
    raw, target = _raw(modalities), str(task.target)
    if target not in raw or raw[target][1] != "cosine":
        return []
    both = {m: {"name": raw[m][0]} for m in (modality, target)}
    embedder = build_embedder({"width": 1, "normalize": False, "fusion": "mean", **both}, both)
    found: list[Learner] = [
        NearestPair(embedder, task, distances.get(raw[modality][1], "distance"))
    ]
    if base_modality(modality) == base_modality(target):
        moved = _untrained("raw", embedder, task, "cosine", "attention", TEMPERATURE)
        unmoved = NoSupport(moved)
        unmoved.role = Role.UNTRAINED
        found += [moved, unmoved]
    return found


@baselines.register("raw/ink")
def raw_ink(modalities: Mapping[str, Granularity], task: Task) -> list[Learner]:
    """The nearest image by the modified Hausdorff distance between the pixels that hold ink
    (Lake et al., 2015).

    For black drawings on white paper in their original size: ``dataset=omniglot dataset.size=105``.
    """
    if "image" not in modalities or task.per_sample_target:
        return []
    learner = _untrained(
        "raw", _alone("image", "raw_ink"), task, "modified_hausdorff", "nearest", 1.0
    )
    learner.variant = "ink"
    return [learner]


def frozen_classifiers(learner: Learner) -> list[Learner]:
    """Classifiers without training on embeddings of encoders without training.

    If nothing of the embedder is trained, they share it, and what it embedded serves them too.
    Where projections of frozen models are trained, they take the models' own embeddings.
    None for raw sequences, which have no mean, and where each sample has a target of its own,
    which leaves no classes.
    """
    embedder = learner.embedder
    if learner.task.per_sample_target or any(e.has_gaps for _, e in embedder.items()):
        return []
    frozen = [embedder] if embedder.frozen else embedder.frozen_parts()
    return [
        _untrained("frozen", e, learner.task, "cosine", r, TEMPERATURE)
        for e in frozen
        for r in FROZEN_CLASSIFIERS
    ]


def _alone(modality: str, encoder: str) -> Embedder:
    """An embedder that gives the raw values of one modality."""
    return build_embedder(
        {"width": 1, "normalize": False, "fusion": "mean", modality: {"name": encoder}}, [modality]
    )


def _untrained(
    name: str, embedder: Embedder, task: Task, distance: str, classifier: str, temperature: float
) -> MetricLearner:
    loss = {"name": "prototypical", "temperature": temperature, "learn_temperature": False}
    learner = MetricLearner(embedder, task, {"name": distance}, loss, {"name": classifier})
    learner.name, learner.role = name, Role.UNTRAINED
    learner.to(embedder.device)
    return learner
