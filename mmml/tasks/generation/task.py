"""The task of writing: what is asked for is a text."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmml.data.base import Samples, base_modality
from mmml.episodes import EpisodeShape, ExampleSet
from mmml.errors import require
from mmml.tasks.base import Metric, Task, tasks
from mmml.tasks.classification import LOG_LOSS
from mmml.tasks.generation import scores
from mmml.tasks.generation.prefix_lm import Decoding, Writer, from_scratch, pretrained
from mmml.tasks.generation.support_texts import SupportTexts
from mmml.tasks.generation.tokens import BYTES, PieceTokens, Tokens

# Adapted to at a time, at most; the result does not depend on it.
EPISODES = 16
ADAPTED = 2**19  # texts of support sets × vocabulary
CHRF, BLEU, ROUGE = (Metric(name) for name in ("chrF", "BLEU", "ROUGE-L"))
EXACT = Metric("exact match", share=True)


@dataclass(frozen=True)
class Prefixed:
    """What a head says of each query, to be gone on from by a language model.

    Attributes:
        prefix: ``[B, q, length · width]``.
        writer: that goes on.
    """

    prefix: Tensor
    writer: Writer

    def each(self) -> Tensor:
        """``[B · q, length, width]``."""
        return self.prefix.flatten(0, 1).unflatten(-1, (-1, self.writer.width))

    def loss(self, targets: Tensor) -> Tensor:
        """Less the log-likelihood, in nats a token, ``[B, q]``, of the texts ``[B, q, bytes]``."""
        return self.writer.log_loss(self.each(), targets.flatten(0, 1)).unflatten(0, targets.shape[:2])


@tasks.register("generation")
class Generation(nn.Module, Task):
    """A text is written about each query; the support set shows some, in the same language or of the same domain.

    The metric method answers with a text of the support set. The learned optimizer adapts the mapper from embeddings
    to the prefix of a language model, which is a slow part of the learner.

    Args:
        target: the modality of the texts.
        prefix: how many embeddings a text begins with.
        model: a language model of transformers, a name or a folder; None for a small one from scratch.
        frozen: whether ``model`` stays as it is.
        vocabulary: word pieces that the one from scratch learns at most; None for bytes.
        layers, heads, width: of the one from scratch.
        max_length: tokens of a text, in training and at most when it is written.
        decoding: ``greedy``, ``beam`` or ``sample``.
        beams: that ``beam`` follows.
        temperature: of ``sample``.
    """

    name = "generation"
    metrics = (CHRF, BLEU, ROUGE, EXACT)
    loss_metric = LOG_LOSS
    starts_heads: ClassVar[bool] = False

    def __init__(
        self,
        target: str,
        prefix: int,
        model: str | None,
        frozen: bool,
        vocabulary: int | None,
        layers: int,
        heads: int,
        width: int,
        max_length: int,
        decoding: str,
        beams: int,
        temperature: float,
    ):
        super().__init__()
        require(prefix > 0, "task.prefix", prefix, "a positive whole number")
        require(base_modality(target) == "text", "task.target", target, "a text, such as text or source_text")
        scores.sacrebleu(), scores.rouge()  # else they would be missed after training began
        self.target, self.prefix, self.frozen = target, prefix, frozen and model is not None
        self.decoding = Decoding(decoding, beams, temperature, max_length)
        self._model, self._sizes = model, (width, layers, heads)
        self.tokens: Tokens = BYTES if vocabulary is None else PieceTokens(vocabulary)

    def prepare_head(self, width: int, ways: int) -> int:
        """Builds the language model, which only a method with a head needs."""
        if self._model is None:
            model = from_scratch(self.tokens, *self._sizes, self.prefix + self.decoding.max_length)
        else:
            model, self.tokens = pretrained(self._model, self.prefix, self.decoding.max_length, self.frozen)
        self.writer = Writer(model, self.tokens, self.decoding, self.frozen)
        return self.prefix * self.writer.width

    def max_episodes(self, shape: EpisodeShape) -> int:
        return max(1, min(EPISODES, ADAPTED // (shape.ways * shape.shots * self.tokens.vocabulary)))

    def fit(self, samples: Samples) -> None:
        """Learn word pieces from the training texts."""
        if isinstance(self.tokens, PieceTokens):
            self.tokens.fit(str(text) for text in samples.columns[str(self.target)].values[:])

    def get_extra_state(self) -> str:
        """For checkpoints: the word pieces, empty if there are none."""
        return self.tokens.state if isinstance(self.tokens, PieceTokens) else ""

    def set_extra_state(self, state: str) -> None:
        """Of a checkpoint."""
        if isinstance(self.tokens, PieceTokens):
            self.tokens.state = state

    def with_targets(self, samples: Samples) -> Samples:
        """The texts as bytes ``[n, longest]``, −1 where there are none."""
        assert self.target is not None
        column = samples.columns[self.target]
        texts = BYTES.encode([str(text) for text in column.values[:]])
        columns = {**samples.columns, self.target: replace(column, values=texts, encoded=True)}
        return super().with_targets(replace(samples, columns=columns))

    def numbers(self, predictions: SupportTexts | Prefixed) -> Tensor:
        return predictions.log_weights.exp() if isinstance(predictions, SupportTexts) else predictions.prefix

    def aggregate(self, log_weights: Tensor, support_targets: Tensor) -> Any:
        return SupportTexts(log_weights, support_targets)

    def answers(self, predictions: SupportTexts | Prefixed, targets: Tensor | None) -> list[str]:
        return self.written(predictions)[0]

    def outputs(self, support: ExampleSet) -> int:
        return self.prefix * self.writer.width

    def decode(self, outputs: Tensor) -> Any:
        return Prefixed(outputs.to(self.writer.dtype), self.writer)

    def loss(self, predictions: SupportTexts | Prefixed, targets: Tensor) -> Tensor:
        """Less the log-likelihood, in nats a token; of known texts the risk of choosing by their weights."""
        return predictions.loss(targets).mean(-1)

    def written(self, predictions: SupportTexts | Prefixed) -> list[list[str]]:
        """The texts, of every episode and query."""
        if isinstance(predictions, SupportTexts):
            return [BYTES.decode(texts) for texts in predictions.chosen()]
        flat, queries = predictions.writer.write(predictions.each()), predictions.prefix.shape[1]
        return [flat[i : i + queries] for i in range(0, len(flat), queries)]

    def scores(self, predictions: SupportTexts | Prefixed, targets: Tensor) -> dict[Metric, Tensor]:
        """chrF, ROUGE-L and exact match of every query, ``[B, q]``; of every episode BLEU, ``[B, 1]``."""
        written, reference = self.written(predictions), [BYTES.decode(t) for t in targets]
        both = [list(zip(w, a, strict=True)) for w, a in zip(written, reference, strict=True)]
        single = {CHRF: scores.chrf, ROUGE: scores.rouge_l, EXACT: lambda w, a: float(w.strip() == a.strip())}
        found = {m: torch.tensor([[score(w, a) for w, a in pairs] for pairs in both]) for m, score in single.items()}
        together = torch.tensor([[scores.bleu(w, a)] for w, a in zip(written, reference, strict=True)])
        return {m: together if m is BLEU else found[m] for m in self.metrics}

    def chance(self, shape: EpisodeShape) -> dict[Metric, float]:
        """Not known of texts."""
        return {}
