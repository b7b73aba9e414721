"""``mmml-predict``: the command line, and the file ``predictions.csv``."""

import csv
import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, cast

from mmml.config import check_config
from mmml.config.compose import apply_overrides, compose_plain, options_of
from mmml.config.predict import PredictOptions, check_predict
from mmml.data.base import MODALITIES
from mmml.data.manifest.rows import ManifestRows
from mmml.data.media import FILE_MODALITIES
from mmml.encoders.base import Encoder, encoders
from mmml.episodes import Mapping
from mmml.errors import UserError, did_you_mean
from mmml.evaluation.calibration import Calibration
from mmml.files import (
    check_target,
    destination,
    expanded,
    is_device,
    keep_aside,
    own_mark,
    take_place,
    writing,
)
from mmml.predict.inputs import Queries, Reading, Support
from mmml.predict.model import Adapted, Model, Prediction, limits_of, trained_model, untrained_model
from mmml.predict.summary import PredictionSummary, answer
from mmml.training.checkpoint import find_checkpoint, load_checkpoint

FIXED = ("seed", "dataset", "encoder", "task", "resume")


def predict(checkpoint: str | None, support: str, query: str, overrides: list[str]) -> int:
    """Adapt, predict every query, write the file, and print a summary; returns the exit code, 1 if
    no query could be read.

    Args:
        checkpoint: a run directory or a checkpoint file; None for a frozen encoder that mmml did
            not train.
        support: labelled files.
        query: files to label.
        overrides: ``predict.*``, and options of the learner.
    """
    own = [o for o in overrides if o.startswith("predict.")]
    others = [o for o in overrides if o not in own]
    composed = compose_plain(own if checkpoint else overrides, "predict")
    options = check_predict(composed.pop("predict"))
    output = expanded(options.output)
    check_target(output, "predict.output")
    model = (
        _trained(checkpoint, others, options)
        if checkpoint
        else _untrained(composed, support, query, options, others)
    )
    queries = Queries(query, model.reading)
    adapted = model.adapt(support, options.mapping, queries)
    adapted.threshold(options.reject)  # raises an error before anything is written
    queries.rows.notes += model.learner.embedder.cut(queries.texts(adapted.mapping.query))
    summary = PredictionSummary(queries, adapted)
    for note in notes(adapted, queries):
        print(f"mmml-predict: {note}", file=sys.stderr)
    write(
        output,
        summary.watch(adapted.predict(queries, options.reject, options.neighbors)),
        options.neighbors,
    )
    summary.show(f"{adapted.mapping}, {model.learner.predictor_name}", output)
    if options.reject is not None and adapted.entry is not None:
        rejected_known = adapted.entry.false_reject_rate(
            options.reject, len(adapted.samples.classes)
        )
        print(
            f"predict.reject={options.reject} is expected to reject {rejected_known:.0%} "
            "of the queries of known classes, too"
        )
    return 1 if summary.unread == len(queries) else 0


def notes(adapted: Adapted, queries: Queries) -> Iterator[str]:
    """Yield sentences on the files that were read, and on probable mistakes."""
    samples, rows, task = adapted.samples, adapted.rows, adapted.model.learner.task
    yield from notes_on_files(rows, queries.rows)
    if task.per_sample_target:
        labels = labels_of(rows)
        if len(labels) > 1:
            message = (
                f"{len(labels)} labels, such as {min(labels)!r}, and every answer comes "
                "from all of them"
            )
            yield f"the support set has {message}: give the rows of one"
        return
    if len(samples.classes) == 1:
        yield f"the support set has one class, {samples.classes[0]!r}: every query gets it"
    elif not rows.has("label"):
        yield "the support set has no labels: each sample is a class of its own"
    if rows.has("score"):
        yield "the support set has scores: to predict scores, add task=regression"
    if adapted.entry is None and len(samples.classes) > 1:
        yield (
            "probabilities are not calibrated: that takes a checkpoint, or two "
            "samples of each class"
        )
    elif adapted.entry is not None:
        yield from Calibration((adapted.entry,)).notes([])
    if again := found_again(rows, queries.rows):
        yield (
            f"{again:,} of the {len(queries):,} queries are in the support set, too: "
            "each of them finds itself"
        )
    labels = labels_of(queries.rows)
    if labels and not labels & set(samples.classes):
        yield f"no label of the queries, such as {min(labels)!r}, is a class of the support set"


def notes_on_files(support: ManifestRows, query: ManifestRows) -> Iterator[str]:
    """Yield sentences on the files of each side, and on the folder that was probably meant for the
    support set.
    """
    for side, rows, unusable in (
        ("support", support, support.unusable("predict.on_bad_sample")),
        ("query", query, []),  # predictions have a line for each unusable query
    ):
        yield from (f"{side}: {note}" for note in (rows.count(), *unusable, *rows.notes))
    if support.meant and (
        support.has("label") or not query.path.is_relative_to(support.path.parent)
    ):
        yield f"support: {support.meant}"


def labels_of(rows: ManifestRows) -> set[str]:
    """Return the distinct labels of a table; an empty set if it has no labels."""
    return set(rows.column("label").drop_null().to_pylist()) if rows.has("label") else set()


def found_again(support: ManifestRows, query: ManifestRows) -> int:
    """Count the queries that are rows of the support set's table, or share a file with it."""
    if support.path.resolve() == query.path.resolve():
        return len(query)
    again: set[int] = set()
    for modality in (m for m in FILE_MODALITIES if support.has(m) and query.has(m)):
        known = set(file_paths(support, modality)) - {None}
        again.update(i for i, path in enumerate(file_paths(query, modality)) if path in known)
    return len(again)


def file_paths(rows: ManifestRows, modality: str) -> list[Path | None]:
    """Return the file of each row, None for rows without one."""
    folder = rows.folder.resolve()
    return [name and folder / name for name in rows.column(modality).to_pylist()]


def _trained(checkpoint: str, overrides: list[str], options: PredictOptions) -> Model:
    stored = load_checkpoint(find_checkpoint(checkpoint, "checkpoint", prefer="best"), "checkpoint")
    config = check_config(
        apply_overrides(stored.config, [*overrides, f"trainer.device={options.device}"], FIXED)
    )
    return trained_model(stored, config, _reading(options, config.dataset))


def _reading(options: PredictOptions, trained: dict[str, Any]) -> Reading:
    limits = limits_of(trained, options.decoding or {})
    return Reading(options.columns or {}, options.features, limits, options.on_bad_sample == "skip")


def _untrained(
    sections: dict[str, Any],
    support: str,
    query: str,
    options: PredictOptions,
    overrides: list[str],
) -> Model:
    """Return a frozen encoder of the modalities that support and queries share."""
    reading = _reading(options, {})
    if options.mapping is None:
        both = (
            Support(support, reading, one_way=False).comparable & Queries(query, reading).modalities
        )
        modalities = {m for m in both if isinstance(sections["encoder"].get(m), dict)}
        if not modalities:
            raise UserError(
                f"support and query share {', '.join(sorted(both)) or 'no modality'}, and "
                "this encoder reads none of it; choose an encoder, or say what to compare by "
                "predict.mapping=support:query"
            )
        if not share_a_space(sections["encoder"], modalities):
            modalities = {next(m for m in (*FILE_MODALITIES, "text") if m in modalities)}
        shared = "+".join(sorted(modalities))
        options.mapping = f"{shared}:{shared}"
    mapping = Mapping.parse(options.mapping, "predict.mapping")
    for modality in mapping.modalities:
        if not isinstance(sections["encoder"].get(modality), dict):
            raise UserError(
                f"predict.mapping={mapping}: this encoder does not read "
                f"{modality}{did_you_mean(modality, MODALITIES)}"
            )
    if not any(re.match(r"encoder\.(width|\w+\.projection)=", o) for o in overrides):
        _leave_out_projections(sections["encoder"])
    _suit_raw_values(sections, mapping, overrides)
    values = compose_plain(
        [f"trainer.device={options.device}", f"episode.eval.mappings=['{options.mapping}']"]
    )
    values["episode"]["train"]["mappings"] = [options.mapping]
    model = untrained_model(check_config(values | sections), reading)
    if not model.learner.embedder.frozen:
        raise UserError(
            "this encoder has parameters that nobody has trained: give a checkpoint, "
            "or encoder=pretrained as it is (tune=0, no projection)"
        )
    return model


def _leave_out_projections(encoder: dict[str, Any]) -> None:
    """Remove untrained projections, which are random: encoders then give their own embeddings, of
    their own width.
    """
    projected = [
        section
        for section in encoder.values()
        if isinstance(section, dict) and section.get("projection")
    ]
    for section in projected:
        section["projection"] = False
    encoder["width"] = None if projected else encoder["width"]


def share_a_space(encoder: dict[str, Any], modalities: Collection[str]) -> bool:
    """Whether untrained embeddings are comparable: those of one modality, or of one model for
    several modalities.
    """
    models = {encoder[m].get("model") for m in modalities if isinstance(encoder.get(m), dict)}
    return len(modalities) == 1 or (len(models) == 1 and None not in models)


def _suit_raw_values(sections: dict[str, Any], mapping: Mapping, overrides: list[str]) -> None:
    """Choose the distance and the classifier that suit raw values of one modality, unless the user
    chose others.
    """
    if not share_a_space(sections["encoder"], mapping.modalities):
        raise UserError(
            f"without a checkpoint {mapping} compares what has no common space; choose one "
            "modality by predict.mapping, such as image:image, or a pretrained pair for both"
        )
    if len(mapping.modalities) > 1:
        return
    (modality,) = mapping.modalities
    name = str(sections["encoder"][modality].get("name"))
    encoder = cast(type[Encoder], encoders.get(name, f"encoder.{modality}.name"))
    method = sections["method"]
    suits = {"distance": encoder.distance, "classifier": "nearest" if encoder.has_gaps else None}
    for option, value in suits.items():
        if value and not any(o.startswith(f"method/{option}=") for o in overrides):
            method[option] = options_of(f"method/{option}", value)


def _write_rows(file: TextIO, predictions: Iterable[Prediction], neighbors: int) -> None:
    table = csv.writer(file)
    table.writerow(
        [
            "id",
            "prediction",
            "probability",
            *(f"neighbor_{i + 1}" for i in range(neighbors)),
            "problem",
        ]
    )
    for p in predictions:
        near = [*p.neighbors, *[""] * (neighbors - len(p.neighbors))]
        probability = "" if p.probability is None else f"{p.probability:.4f}"
        table.writerow([p.id, answer(p), probability, *near, p.problem or ""])


def write(path: Path, predictions: Iterable[Prediction], neighbors: int) -> None:
    """Write one line for each query as soon as it is predicted; the file is renamed when it is
    complete.

    An existing file is kept under another name. After an interruption, the lines written so far are
    in a file that ends in ``.part``; after a full disk, no file is left.
    """
    path = destination(path)
    if is_device(path):
        with writing(path), path.open("w", newline="", encoding="utf-8") as device:
            _write_rows(device, predictions, neighbors)
        return
    part = path.with_name(f"{path.name}.{own_mark()}.part")
    try:
        with writing(path), part.open("w", newline="", encoding="utf-8") as file:
            _write_rows(file, predictions, neighbors)
            file.flush()
            os.fsync(file.fileno())
    except OSError:  # an incomplete file would keep the disk full
        part.unlink(missing_ok=True)
        raise
    while not take_place(part, path):
        keep_aside(path)
