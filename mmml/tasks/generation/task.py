"""``task=generation``: write a text about each query."""

from dataclasses import replace
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from mmml.data.base import Samples, base_modality
from mmml.episodes import Episodes, EpisodeShape
from mmml.errors import require
from mmml.tasks.base import Metric, tasks
from mmml.tasks.classification import LOG_LOSS
from mmml.tasks.generation import scores
from mmml.tasks.generation.support_texts import SupportTexts
from mmml.tasks.targets import ModalityTarget
from mmml.text.tokens import BYTES

CHRF, BLEU, ROUGE = (Metric(name) for name in ("chrF", "BLEU", "ROUGE-L"))
EXACT = Metric("exact match", share=True)


class TextPredictions(Protocol):
    """Predictions of texts: :class:`SupportTexts`, or the prefixes of a language model."""

    def texts(self) -> list[list[str]]:
        """Return the text of each query of each episode."""
        ...

    def loss(self, targets: Tensor) -> Tensor:
        """Return the loss of each prediction, ``[B, q]``, for the right texts ``[B, q, bytes]``."""
        ...

    def numbers(self) -> Tensor:
        """Return numbers ``[B, q, …]`` that are equal if predictions are equal."""
        ...


@tasks.register("generation")
class Generation(ModalityTarget):
    """Text generation: a text is written about each query; the support set has texts in the same
    language or domain.

    Targets are texts as bytes, ``[B, items, bytes]``, padded with −1.

    Args:
        target: the modality of the texts.
    """

    name = "generation"
    metrics = (CHRF, BLEU, ROUGE, EXACT)
    loss_metric = LOG_LOSS
    form: ClassVar[str] = "text"
    constants = {"medoid": lambda targets: targets}  # noqa: RUF012 (the text that is most like the others)

    def __init__(self, target: str):
        require(
            base_modality(target) == "text",
            "task.target",
            target,
            "a text, such as text or source_text",
        )
        scores.sacrebleu(), scores.rouge()  # fail before training if they are missing
        self.target = target

    def prepare(self, samples: Samples) -> Samples:
        """Return the samples with texts as bytes, ``[n, longest]``, padded with −1."""
        column = samples.columns[self.target]
        texts = BYTES.encode([str(text) for text in column.values[:]])
        return replace(
            samples,
            columns={**samples.columns, self.target: replace(column, values=texts, encoded=True)},
        )

    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> SupportTexts:
        """Return a choice of one support text for each query."""
        return SupportTexts(log_weights, support_targets)

    def numbers(self, predictions: TextPredictions) -> Tensor:
        return predictions.numbers()

    def format(self, predictions: TextPredictions) -> list[dict[str, Any]]:
        return [{"text": text} for text in predictions.texts()[0]]

    def answers(self, predictions: TextPredictions, samples: Samples, drawn: Episodes) -> list[str]:
        return predictions.texts()[0]

    def loss(self, predictions: TextPredictions, targets: Tensor) -> Tensor:
        """Return the negative log-likelihood in nats per token; for support texts, the risk of the
        weighted choice.
        """
        return predictions.loss(targets).mean(-1)

    def scores(self, predictions: TextPredictions, targets: Tensor) -> dict[Metric, Tensor]:
        """Return chrF, ROUGE-L and exact match of each query, ``[B, q]``, and BLEU of each episode,
        ``[B, 1]``.
        """
        written, reference = predictions.texts(), [BYTES.decode(t) for t in targets]
        both = [list(zip(w, a, strict=True)) for w, a in zip(written, reference, strict=True)]
        single = {
            CHRF: scores.chrf,
            ROUGE: scores.rouge_l,
            EXACT: lambda w, a: float(w.strip() == a.strip()),
        }
        found = {
            m: torch.tensor([[score(w, a) for w, a in pairs] for pairs in both])
            for m, score in single.items()
        }
        together = torch.tensor(
            [[scores.bleu(w, a)] for w, a in zip(written, reference, strict=True)]
        )
        return {m: together if m is BLEU else found[m] for m in self.metrics}

    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        """Return an empty dict: chance is not known for texts."""
        return {}
