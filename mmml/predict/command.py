"""``mmml-predict``: from the command line to ``predictions.csv``."""

import csv
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from mmml.config import check_config
from mmml.config.compose import apply_overrides, compose_plain
from mmml.config.predict import PredictOptions, check_predict
from mmml.encoders.base import Encoder, encoders
from mmml.episodes import Mapping
from mmml.errors import UserError
from mmml.files import check_writable, keep_aside
from mmml.predict.inputs import Queries, Reading, Support
from mmml.predict.model import Model, Prediction, limits_of, trained_model, untrained_model
from mmml.trainer.checkpoint import find_checkpoint, load_checkpoint

NONE, SCORE = "none of these", "a score"
FIXED = ("seed", "dataset", "encoder", "task", "resume")


def predict(checkpoint: str | None, support: str, query: str, overrides: list[str]) -> int:
    """Adapt, predict every query, write the file, show a summary; returns the exit code.

    Args:
        checkpoint: a run directory or a file; None composes an encoder that was not trained here.
        support: labelled files.
        query: files to label.
        overrides: ``predict.*``, and those of the learner.
    """
    own = [o for o in overrides if o.startswith("predict.")]
    others = [o for o in overrides if o not in own]
    composed = compose_plain(own if checkpoint else overrides, "predict")
    options = check_predict(composed.pop("predict"))
    output = Path(options.output).expanduser()
    check_writable(output.parent)
    model = (
        _trained(checkpoint, others, options) if checkpoint else _untrained(composed, support, query, options, others)
    )
    queries = Queries(query, model.reading)
    adapted = model.adapt(support, options.mapping, queries)
    keep_aside(output)
    tally = Tally(queries)
    write(output, tally.watch(adapted.predict(queries, options.reject, options.nearest)), options.nearest)
    tally.show(f"{adapted.mapping}, {model.learner.predictor_name}", output)
    if options.reject is not None and adapted.entry is not None:
        lost = adapted.entry.lost(options.reject)
        print(f"predict.reject={options.reject} also rejects about {lost:.0%} of the queries whose class is known")
    return 0


def _trained(checkpoint: str, overrides: list[str], options: PredictOptions) -> Model:
    stored = load_checkpoint(find_checkpoint(checkpoint, "checkpoint", prefer="best"), "checkpoint")
    config = check_config(apply_overrides(stored.config, [*overrides, f"trainer.device={options.device}"], FIXED))
    return trained_model(stored, config, Reading(options.columns or {}, options.features, limits_of(config)))


def _untrained(
    sections: dict[str, Any], support: str, query: str, options: PredictOptions, overrides: list[str]
) -> Model:
    """A frozen encoder, of the modalities that support and queries share."""
    reading = Reading(options.columns or {}, options.features)
    if options.mapping is None:
        both = Support(support, reading, one_way=False).comparable & Queries(query, reading).modalities
        modalities = {m for m in both if isinstance(sections["encoder"].get(m), dict)}
        if not modalities:
            raise UserError(
                f"support and query share {', '.join(sorted(both)) or 'no modality'}, and this encoder reads "
                "none of it; choose an encoder, or say what to compare by predict.mapping=support:query"
            )
        shared = "+".join(sorted(modalities))
        options.mapping = f"{shared}:{shared}"
    mapping = Mapping.parse(options.mapping, "predict.mapping")
    if not any(re.match(r"encoder\.(width|\w+\.projection)=", o) for o in overrides):
        _leave_out_projections(sections["encoder"])
    _suit_raw_values(sections, mapping, overrides)
    values = compose_plain([f"trainer.device={options.device}", f"episode.eval.mappings=['{options.mapping}']"])
    values["episode"]["train"]["mappings"] = [options.mapping]
    model = untrained_model(check_config(values | sections), reading)
    if not model.learner.embedder.frozen:
        raise UserError("this encoder has parameters that nobody has trained: give a checkpoint, or encoder=pretrained")
    return model


def _leave_out_projections(encoder: dict[str, Any]) -> None:
    """What nobody has trained would be noise: models give their own embeddings, of their own width."""
    projected = [section for section in encoder.values() if isinstance(section, dict) and section.get("projection")]
    for section in projected:
        section["projection"] = False
    encoder["width"] = None if projected else encoder["width"]


def _suit_raw_values(sections: dict[str, Any], mapping: Mapping, overrides: list[str]) -> None:
    """Raw values of one modality are compared by the distance and the rule that suit them, unless others are named."""
    names = {sections["encoder"].get(m, {}).get("name") for m in mapping.modalities}
    if len(names) > 1:
        return
    encoder, method = cast(type[Encoder], encoders.get(names.pop(), "encoder")), sections["method"]
    suits = {"distance": encoder.distance, "rule": "nearest" if encoder.has_gaps else None}
    for option, value in suits.items():
        if value and not any(o.startswith(f"method.{option}=") for o in overrides):
            method[option] = value


def write(path: Path, predictions: Iterable[Prediction], nearest: int) -> None:
    """One line for each query, as soon as it is known."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["id", "prediction", "probability", *(f"nearest_{i + 1}" for i in range(nearest)), "problem"])
        for p in predictions:
            near = [*p.nearest, *[""] * (nearest - len(p.nearest))]
            probability = "" if p.probability is None else f"{p.probability:.4f}"
            table.writerow([p.id, answer(p), probability, *near, p.problem or ""])


def answer(p: Prediction) -> str:
    """What the column ``prediction`` says."""
    if p.problem is not None:
        return ""
    return f"{p.score:.6g}" if p.score is not None else p.label if p.label is not None else NONE


class Tally:
    """Counts what was predicted, and how much of it was right where the queries have labels.

    Args:
        queries: being predicted.
    """

    def __init__(self, queries: Queries):
        self.count = len(queries)
        self.truth = queries.rows.column("label").to_pylist() if queries.rows.has("label") else None
        self.labels: Counter[str] = Counter()
        self.sure: Counter[str] = Counter()
        self.right = self.judged = self.unread = 0

    def watch(self, predictions: Iterable[Prediction]) -> Iterator[Prediction]:
        """The same predictions, counted, with a progress bar."""
        bar = tqdm(predictions, total=self.count, desc="predicting", unit="query", disable=not sys.stderr.isatty())
        for i, p in enumerate(bar):
            if p.problem is not None:
                self.unread += 1
            else:
                label = SCORE if p.score is not None else answer(p)
                self.labels[label] += 1
                self.sure[label] += p.probability or 0  # type: ignore[assignment]
                if self.truth is not None and self.truth[i] is not None and p.score is None:
                    self.judged += 1
                    self.right += p.label == self.truth[i]
            yield p

    def show(self, title: str, output: Path) -> None:
        """A table on the terminal."""
        table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
        for name, side in (("prediction", "left"), ("queries", "right"), ("mean probability", "right")):
            table.add_column(name, justify=side, overflow="fold")  # type: ignore[arg-type]
        for label, count in self.labels.most_common(20):
            mean = f"{self.sure[label] / count:.2f}" if label not in (NONE, SCORE) else ""
            table.add_row(label, f"{count:,}", mean)
        if len(self.labels) > 20:
            table.add_row(f"… and {len(self.labels) - 20} more", "", "")
        console = Console()
        console.print(table)
        if self.judged:
            console.print(f"right: {self.right / self.judged:.1%} of the {self.judged:,} queries with a label")
        if self.unread:
            console.print(f"could not be read: {self.unread:,} (see the column problem)")
        print(f"predictions: {output}")
