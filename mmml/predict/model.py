"""A trained learner (or a frozen encoder) that adapts to new classes and predicts.

import mmml

model = mmml.load("outputs/2026-11-24/04-25-56-glyphs-metric")
for prediction in model.adapt("five-examples/").predict("unlabelled/"):
    print(prediction.id, prediction.label, prediction.probability)
"""

import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmml.config import Config, check_config
from mmml.data.base import Samples
from mmml.data.manifest import ManifestRows
from mmml.data.media import Limits
from mmml.episodes import ExampleSet, Mapping
from mmml.errors import UserError, did_you_mean
from mmml.evaluation.calibration import Calibration, Entry
from mmml.evaluation.embed import embed_all
from mmml.methods import Learner
from mmml.predict.calibrate import calibrate_on_support
from mmml.predict.inputs import Queries, Reading, Support, whole_support
from mmml.run import build_learner, load_finished, modalities_of
from mmml.similarity.distances import cosine
from mmml.similarity.losses import class_means
from mmml.threads import one_thread
from mmml.training.checkpoint import Checkpoint, find_checkpoint, load_checkpoint

CHUNK = 512  # queries predicted at a time; does not affect the predictions

Found = tuple[dict[str, Any], list[int]]
"""Fields of the :class:`Prediction` of a query, and numbers of its nearest support samples."""


@dataclass(frozen=True)
class Prediction:
    """The prediction for one query.

    Attributes:
        id: of the query.
        label: the most probable class; None if the query is rejected.
        probability: calibrated probability of the most probable class.
        score: the predicted score, for regression.
        text: the generated text, for generation.
        neighbors: the ids of the most similar support samples, the nearest first.
        problem: why the query could not be read; None if it could.
    """

    id: str
    label: str | None = None
    probability: float | None = None
    score: float | None = None
    text: str | None = None
    neighbors: tuple[str, ...] = ()
    problem: str | None = None


@dataclass
class Model:
    """A learner that is ready to adapt.

    Attributes:
        learner: in evaluation mode.
        mappings: the mappings of its training and evaluation.
        calibration: from validation episodes; None if there is none.
        as_judged: whether the method is unchanged since the calibration.
        reading: how files are read.
    """

    learner: Learner
    mappings: list[Mapping]
    calibration: Calibration | None
    reading: Reading
    as_judged: bool = True

    def __repr__(self) -> str:
        return f"Model({self.learner.predictor_name}, {', '.join(map(str, self.mappings))})"

    def adapt(
        self, support: str, mapping: str | None = None, query: Queries | None = None
    ) -> "Adapted":
        """Adapt to the classes of a support set.

        Args:
            support: a manifest, or a folder with one, or a folder of class folders.
            mapping: the modalities of the support set and of the queries, such as ``image:image``;
                by default the first mapping that the support set allows.
            query: the queries, if known; the default mapping then fits them, too.

        Raises:
            UserError: a sample cannot be read, or the support set lacks a modality or a column.
        """
        task = self.learner.task
        if task.embedded_columns:
            raise UserError(
                f"task={task.name} ranks the answers of a whole domain, and files have none: "
                "use mmml-eval"
            )
        source = Support(os.fspath(support), self.reading, task.per_sample_target)
        for needed in task.target_columns:
            if not source.rows.has(needed):
                raise UserError(
                    f"support={support} has no column {needed}, which task={task.name} needs"
                )
        chosen = self._choose(mapping, source, query.modalities if query else None)
        samples = source.samples({*chosen.support, *task.target_columns})
        source.rows.notes += self.learner.embedder.cut(
            {m: samples.columns[m].values for m in chosen.support}
        )
        return Adapted(self, chosen, samples, source.rows)

    def _choose(self, text: str | None, source: Support, query: set[str] | None) -> Mapping:
        known, support = set(self.learner.embedder.encoders), set(source.per)
        if text is not None:
            mapping = Mapping.parse(text, "predict.mapping")
            for modality in mapping.modalities - known:
                hint = did_you_mean(modality, known)
                raise UserError(f"predict.mapping={text}: the model does not read {modality}{hint}")
            for side, shown, has in (
                ("support", mapping.support, support),
                ("query", mapping.query, query or known),
            ):
                for modality in set(shown) - has:
                    available = ", ".join(sorted(has))
                    raise UserError(
                        f"predict.mapping={text}: the {side} has no {modality} (it has {available})"
                    )
            return mapping
        shared = tuple(sorted(known & source.comparable & (query if query is not None else known)))
        candidates = [*self.mappings, *([Mapping(shared, shared)] if shared else [])]
        for mapping in candidates:
            if (
                set(mapping.support) <= support & known
                and set(mapping.query) <= (query or known) & known
            ):
                return mapping
        raise UserError(
            f"the support set has {', '.join(sorted(support))}, the queries "
            f"{', '.join(sorted(query or known))}, and the model reads {', '.join(sorted(known))}; "
            "name what to compare by predict.mapping=support:query"
        )


class Adapted:
    """A learner that has adapted to the classes of a support set.

    Args:
        model: the model before adaptation.
        mapping: the modalities of the support set and of the queries.
        samples: the support set, raw.
        rows: the table of the support set.
    """

    def __init__(self, model: Model, mapping: Mapping, samples: Samples, rows: ManifestRows):
        learner = model.learner
        self.model, self.mapping, self.rows = model, mapping, rows
        features = samples.columns.get("features")
        self._like = np.asarray(features.values[0:1][0]) if features is not None else None
        self.samples = embed_all(learner, samples, mapping.support)
        support = whole_support(self.samples, mapping.support)
        if learner.task.target is not None:
            support = replace(
                support, answers=whole_support(learner.task.prepare(samples), [learner.task.target])
            )
        with torch.no_grad():
            # Encoders that adapt need raw values.
            raw = whole_support(samples, mapping.support)
            self._predict = learner.adapt(
                support if learner.embeds_once else replace(raw, answers=support.answers)
            )
            self._support = learner.embedder.fuse(support)[0]
        self._labels = support.labels[0]
        self._means = class_means(self._support[None], self._labels[None].to(self._support.device))[
            0
        ]
        samples_seen = self.samples if learner.embeds_once else samples
        self.entry = None if learner.task.per_sample_target else self._calibration(samples_seen)

    def __repr__(self) -> str:
        return (
            f"Adapted({self.mapping}, {len(self.samples.classes)} classes, "
            f"{len(self.samples.labels)} samples)"
        )

    def _calibration(self, samples: Samples) -> Entry | None:
        """Return the calibration from validation episodes of this shape, else one from the support
        set.
        """
        calibration = self.model.calibration
        shots = round(len(self._labels) / len(samples.classes))
        found = calibration.of(self.mapping, len(samples.classes), shots) if calibration else None
        if found and self.model.as_judged:
            return found
        with one_thread():
            own = calibrate_on_support(self.model.learner, samples, self.mapping)
        return (
            replace(own, known=found.known, unknown=found.unknown, met=found.met)
            if own and found
            else own
        )

    def predict(
        self, query: str | Queries, reject: float | None = None, neighbors: int = 3
    ) -> Iterator[Prediction]:
        """Yield predictions in the order of the queries, which are read a few hundred at a time.

        Args:
            query: a manifest, or a folder of files.
            reject: the share of queries of unknown classes that should get no label, between 0 and
                1; None labels every query.
            neighbors: the number of nearest support samples in each prediction.
        """
        queries = (
            query if isinstance(query, Queries) else Queries(os.fspath(query), self.model.reading)
        )
        threshold = self.threshold(reject)
        per_class = len(self._labels) == len(self.samples.classes) != len(self.samples.labels)
        names = self.samples.classes if per_class else self.samples.ids.to_pylist()
        for chunk in queries.chunks(self.mapping.query, CHUNK, self._like):
            found = (
                self._of_chunk(chunk.examples, threshold, neighbors)
                if len(chunk.problems) < len(chunk.rows)
                else []
            )
            remaining = iter(found)
            for i in chunk.rows.tolist():
                identity = queries.rows.names[i].as_py()
                if i in chunk.problems:
                    yield Prediction(identity, problem=chunk.problems[i])
                else:
                    said, near = next(remaining)
                    yield Prediction(identity, **said, neighbors=tuple(names[n] for n in near))

    @torch.no_grad()
    def _of_chunk(
        self, examples: ExampleSet, threshold: float | None, neighbors: int
    ) -> list[Found]:
        """Return the fields of the prediction for each query."""
        learner = self.model.learner
        query = examples.encode(learner.embedder.encode)
        with one_thread():
            predictions = self._predict(query if learner.embeds_once else examples)
            return self._describe(
                predictions, learner.embedder.fuse(query)[0], threshold, neighbors
            )

    def _describe(
        self, predictions: Any, fused: Tensor, threshold: float | None, neighbors: int
    ) -> list[Found]:
        distances = self.model.learner.compare(fused, self._support)
        near = distances.topk(min(neighbors, distances.shape[1]), largest=False).indices.tolist()
        task = self.model.learner.task
        if task.per_sample_target:
            return list(zip(task.format(predictions), near, strict=True))
        probability, label = self._probabilities(predictions[0].cpu()).max(-1)
        labels: list[str | None] = [self.samples.classes[i] for i in label.tolist()]
        if threshold is not None:
            # The same distance as in mmml.evaluation.calibration.
            far = cosine(fused, self._means).amin(-1) > threshold
            labels = [None if f else label for f, label in zip(far.tolist(), labels, strict=True)]
        each = zip(labels, probability.tolist(), near, strict=True)
        return [({"label": label, "probability": sure}, n) for label, sure, n in each]

    def _probabilities(self, log_probabilities: Tensor) -> Tensor:
        return (
            self.entry.apply(log_probabilities) if self.entry else log_probabilities.double()
        ).exp()

    def threshold(self, reject: float | None) -> float | None:
        """Return the novelty above which a query is rejected, so that a share ``reject`` of unknown
        queries is; None for None.

        Raises:
            UserError: ``reject`` is not between 0 and 1, or there is no calibration for it.
        """
        if reject is None:
            return None
        if not 0 < reject < 1:
            raise UserError(f"predict.reject={reject} must be between 0 and 1")
        if self.entry is None:
            raise UserError(
                "predict.reject needs a checkpoint whose calibration knows this mapping, "
                "or two samples of each class"
            )
        threshold = self.entry.threshold(reject, len(self.samples.classes))
        if math.isnan(threshold):
            raise UserError(
                "predict.reject needs embeddings that cosines can compare; these are raw sequences"
            )
        return threshold


def load(checkpoint: str, device: str = "auto") -> Model:
    """Load a finished run, ready to adapt; files are read as in training.

    Args:
        checkpoint: a run directory or a checkpoint file.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``.

    Raises:
        UserError: there is no checkpoint, or it cannot be read.
    """
    stored = load_checkpoint(find_checkpoint(checkpoint, "checkpoint", prefer="best"), "checkpoint")
    config = check_config(
        stored.config | {"trainer": stored.config["trainer"] | {"device": device}}
    )
    return trained_model(stored, config, Reading(limits=limits_of(config.dataset, {})))


def trained_model(stored: Checkpoint, config: Config, reading: Reading) -> Model:
    """Build the model of a checkpoint.

    Args:
        stored: the checkpoint.
        config: the checkpoint's config, perhaps with changes.
        reading: how files are read.
    """
    model = untrained_model(config, reading)
    model.calibration = load_finished(model.learner, stored)
    model.as_judged = config.method == stored.config["method"] and not model.learner.transductive
    model.learner = model.learner.inductive().eval()
    return model


def untrained_model(config: Config, reading: Reading) -> Model:
    """Build the model of a config, without training."""
    mappings = [
        Mapping.parse(m) for m in (*config.episode.eval.mappings, *config.episode.train.mappings)
    ]
    learner, _ = build_learner(config, modalities_of(config))
    return Model(learner.eval(), list(dict.fromkeys(mappings)), None, reading)


def limits_of(trained: dict[str, Any], decoding: dict[str, Any]) -> Limits:
    """Return the limits of decoding: as in training, except for those of ``predict.decoding``."""
    known = Limits.__dataclass_fields__
    for key in decoding:
        if key not in known:
            raise UserError(
                f"predict.decoding.{key} is no option{did_you_mean(key, known)} (known: "
                f"{', '.join(known)})"
            )
    return Limits(**{k: v for k, v in trained.items() if k in known} | decoding)
