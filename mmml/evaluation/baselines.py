"""Baselines without training, in the same table as the learned predictors."""

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
"""Functions ``(modalities of the dataset, task) -> list[Learner]``. Chance is always in the table
and needs no entry.
"""

FROZEN_CLASSIFIERS = ("prototype", "ridge", "attention")
# For the cosine distance on frozen embeddings; the predictions of ``attention`` depend on it.
TEMPERATURE = 0.07


@baselines.register("raw/nearest")
def raw_nearest(modalities: Mapping[str, Granularity], task: Task) -> list[Learner]:
    """Return classifiers by the nearest support item on raw inputs, by the distance that each raw
    encoder declares.

    There is one learner for each modality with an encoder ``raw_<modality>``, which sees no other
    modality. If the task embeds its targets, there are baselines for retrieval instead, see
    :func:`_finds`.
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
    """Return the name of the raw encoder of each modality, and its distance."""
    names = {
        m: f"raw_{base_modality(m)}"
        for m in modalities
        if f"raw_{base_modality(m)}" in encoders.names()
    }
    return {m: (n, encoders.get(n, n).distance or "cosine") for m, n in names.items()}  # type: ignore[attr-defined]


def _finds(modality: str, task: Task, modalities: Mapping[str, Granularity]) -> list[Learner]:
    """Return baselines for retrieval on raw values of a modality and of the target, which are
    compared by cosine.

    If both are of one kind, their raw values are also compared with each other.
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
    """Return the nearest-neighbour classifier by the modified Hausdorff distance between the ink
    pixels of images (Lake et al., 2015).

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
    """Return classifiers without training on embeddings of encoders without training.

    If no parameter of the embedder is trained, they share it and its embeddings. If only
    projections of frozen models are trained, they use the models' own embeddings. The list is empty
    for raw sequences, which cannot be averaged, and for tasks without classes.
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
    """Build an embedder that returns the raw values of one modality."""
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
