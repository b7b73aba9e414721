"""The metric learner: distances in the embedding space become weights of support items."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from mmml.data.base import Samples, base_modality
from mmml.encoders import Embedder, encoders
from mmml.episodes import Batch, ExampleSet
from mmml.episodes import Mapping as EpisodeMapping
from mmml.errors import UserError
from mmml.methods.controls import NoSupport, PermutedTargets, TrainSetSupport
from mmml.methods.learner import Learner, Predictor, methods
from mmml.methods.metric.bandwidth import Bandwidth
from mmml.methods.metric.classifiers import (
    Anchored,
    classifiers,
    fuses,
    needs_vectors,
)
from mmml.methods.metric.classifiers.attention import attention
from mmml.similarity import distances, losses
from mmml.similarity.distances import compares_parts
from mmml.similarity.losses import class_means
from mmml.tasks import Task

CLASSIFIER = "method.classifier.name"


@methods.register("metric")
class MetricLearner(Learner):
    """Encoders trained by a loss on distances (a siamese network); a classifier turns distances
    into predictions.

    Args:
        embedder: the encoders and their fusion.
        task: defines targets, predictions and scores.
        distance: name and options of a part of ``mmml.similarity.distances``.
        loss: name and options of a part of ``mmml.similarity.losses``.
        classifier: name and options of a part of ``mmml.methods.metric.classifiers``; None for
            ``prototype``, or ``attention`` if each sample has its own target.
    """

    name = "metric"
    transductive = False

    def __init__(
        self,
        embedder: Embedder,
        task: Task,
        distance: Mapping[str, Any],
        loss: Mapping[str, Any],
        classifier: Mapping[str, Any] | None = None,
    ):
        super().__init__()
        if classifier is None:
            classifier = {"name": "attention" if task.per_sample_target else "prototype"}
        self.embedder, self.task = embedder, task
        self._distance = distances.build_section(distance, "method.distance", width=embedder.width)
        self._classifier = classifiers.build_section(classifier, "method.classifier")
        self._loss = losses.build_section(loss, "method.loss")
        self.variant = str(classifier["name"])
        refuse_incomparable(embedder, str(distance["name"]), self.variant)
        if task.per_sample_target and needs_vectors(self.variant, CLASSIFIER):
            raise UserError(
                f"method/classifier={self.variant} needs classes, and task={task.name} has none: "
                "leave it out, or set method/classifier=attention"
            )
        self._fuses = fuses(self.variant, CLASSIFIER)
        self._anchored = self._classifier if isinstance(self._classifier, Anchored) else None
        learned = bool(loss.get("learn_temperature", True))
        self._bandwidth = Bandwidth(learned) if task.per_sample_target else None

    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        task = task or self.task
        # A target such as a score belongs to a sample, not to one of its modalities.
        per_sample_target = task.per_sample_target
        extra: tuple[Tensor | None, ...] = ()
        if self._anchored is not None:
            anchor = self._anchored.anchor
            extra = (self._anchors(support, anchor),)
            support = support.only(set(support.columns) - {anchor} or {anchor})
        embedded, labels = self._items(support, fuse=self._fuses or per_sample_target)
        targets = self._targets(task, support).to(labels.device) if per_sample_target else labels

        def predict(query: ExampleSet) -> Any:
            queries = self._embed(query)
            weights = self._classifier(
                self._distance, embedded, labels, queries, self._temperature(embedded), *extra
            )
            return combined(task, weights, embedded, targets, queries)

        return predict

    def check_mappings(self, mappings: Iterable[EpisodeMapping]) -> None:
        for mapping in mappings:
            self._require_anchors(mapping.support)

    def _require_anchors(self, shown: Collection[str]) -> None:
        """Refuse a support set that lacks the anchors that the classifier needs."""
        anchored = self._anchored
        if anchored is not None and anchored.needs_anchors and anchored.anchor not in shown:
            raise UserError(
                f"method/classifier={self.variant} needs {anchored.anchor} in the support set, "
                f"which has {', '.join(sorted(shown))}: choose another mapping, or set "
                "method.classifier.anchor"
            )

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        return self._distance(query, support)

    def controls(self, train: Samples | None) -> list[list[Learner]]:
        """Return the controls for tasks in which each sample has its own target: permuted targets,
        and no support or training-set support.
        """
        found: list[list[Learner]] = (
            [[PermutedTargets(self)]] if self.task.per_sample_target else []
        )
        if self.task.embedded_columns:
            return [*found, [NoSupport(self)]]
        return [*found, [TrainSetSupport(self, train)]] if found and train is not None else found

    def loss(self, batch: Batch) -> Tensor:
        batch = batch.encode(self.embedder.encode)
        # Only encoders are faster in bf16; distances would lose precision.
        with torch.autocast(self.embedder.device.type, enabled=False):
            return torch.stack(
                [self._mapping_loss(*batch.view(mapping)) for mapping in batch.mappings]
            ).mean()

    def _mapping_loss(self, support: ExampleSet, query: ExampleSet) -> Tensor:
        if self.task.per_sample_target:
            return self._item_loss(support, query)
        (s, labels), q = self._items(support, self._fuses), self._embed(query)
        return self._loss(self._distance, s, labels, q, query.labels.to(q.device))

    def _item_loss(self, support: ExampleSet, query: ExampleSet) -> Tensor:
        """Return the task's loss of predictions by attention, since the weights of nearest items
        have no gradient.
        """
        (s, labels), q = self._items(support, fuse=True), self._embed(query)
        weights = attention(self._distance, s, labels, q, self._temperature(s))
        targets, queries = (
            self._targets(self.task, side).to(q.device) for side in (support, query)
        )
        return self.task.loss(combined(self.task, weights, s, targets, q), queries).mean()

    def _temperature(self, support: Tensor) -> Tensor:
        """Return the divisor of distances from support items ``[B, s, width]``."""
        given = self._loss.temperature
        return given if self._bandwidth is None else self._bandwidth(given, support.shape[1])

    def _targets(self, task: Task, examples: ExampleSet) -> Tensor:
        return task.targets(examples.answered(self.embedder.encode))

    def _items(self, support: ExampleSet, fuse: bool) -> tuple[Tensor, Tensor]:
        """Return the items that queries are compared with: embeddings ``[B, s, width]`` and labels
        ``[B, s]``.
        """
        if fuse:
            embedded, labels = self._embed(support), support.labels
        else:
            embedded, labels = as_items(support.encode(self.embedder.encode), self.embedder.fuse)
        return embedded, labels.to(embedded.device)

    def _anchors(self, support: ExampleSet, modality: str) -> Tensor | None:
        """Return the mean embedding of each class in a support modality, ``[B, ways, width]``; None
        if the support set lacks the modality.
        """
        self._require_anchors(support.columns)
        if modality not in support.columns:
            return None
        return class_means(*self._items(support.only([modality]), fuse=True))

    def _embed(self, examples: ExampleSet) -> Tensor:
        return self.embedder.fuse(examples.encode(self.embedder.encode))


def combined(
    task: Task, log_weights: Tensor, items: Tensor, targets: Tensor, queries: Tensor
) -> Any:
    """Return the task's predictions from the log-weights ``[B, q, s]`` of support items and their
    targets.

    If targets are embedded, the prediction is the query plus the weighted mean offset of the
    targets from their items.
    """
    if task.embedded_columns:
        return queries + task.aggregate(log_weights, targets - items)
    return task.aggregate(log_weights, targets)


def as_items(support: ExampleSet, fuse: Callable[[ExampleSet], Tensor]) -> tuple[Tensor, Tensor]:
    """Turn each value of each modality into an item, with modalities in alphabetical order.

    Args:
        support: encoded, ``[B, ways, n, width]`` for each modality; n is 1 for values that belong
            to classes, so a class name is one item for any number of shots.
        fuse: see :meth:`mmml.encoders.Embedder.fuse`.

    Returns:
        Embeddings ``[B, s, width]`` and labels ``[B, s]``, s = ways · Σ n.
    """
    copied = support.copied()
    parts = [copied.only([m]) for m in sorted(support.values)]
    return torch.cat([fuse(part) for part in parts], dim=1), torch.cat(
        [part.labels for part in parts], dim=1
    )


def made_for(distance: str, modality: str) -> list[str]:
    """Return the names of the encoders of a modality whose embeddings a distance is made for."""
    known: dict[str, Any] = {name: encoders.get(name, "encoder") for name in encoders.names()}
    return [
        n
        for n, e in known.items()
        if e.modality == base_modality(modality) and e.distance == distance
    ]


def refuse_incomparable(embedder: Embedder, distance: str, classifier: str) -> None:
    """Raise a ``UserError`` if a distance or classifier cannot compare the embeddings.

    Only their own distance can compare embeddings with NaN, and distances of parts need embeddings
    that consist of such parts.
    """
    for modality, encoder in embedder.items():
        if encoder.has_gaps and needs_vectors(classifier, CLASSIFIER):
            raise UserError(
                f"method/classifier={classifier} computes with what encoder.{modality} gives, "
                "which has gaps: set method/classifier=nearest or attention"
            )
        if encoder.distance != distance and (
            encoder.has_gaps or compares_parts(distance, "method.distance")
        ):
            fit = made_for(distance, modality)
            other = (
                f", or encoder/{modality}={fit[0]}"
                if fit
                else f", or leave {modality} out of the mappings"
            )
            raise UserError(
                f"method/distance={distance} cannot compare what encoder.{modality} gives: "
                f"set method/distance={encoder.distance or 'cosine'}{other}"
            )
        if encoder.has_gaps and embedder.normalize:
            raise UserError(
                f"encoder.normalize=true cannot scale what encoder.{modality} gives, which has "
                "gaps: set encoder.normalize=false"
            )
