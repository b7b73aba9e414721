"""The base class of language models that continue a prefix of embeddings (Tsimpoukelli et al.,
2021; Mokady et al., 2021).
"""

import functools
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.data.column import Column
from mmml.encoders.hub import check_fingerprint, fingerprint, library
from mmml.errors import require
from mmml.registry import Registry
from mmml.text.tokens import Tokens

GROUP, OPTION = "method/language_model", "method.language_model"

language_models = Registry("language model", "mmml.methods.learned_optimizer.language_models")

SCORED = 2**17  # texts × vocabulary size scored at a time; it does not change the result
WRITTEN = 256  # texts × beams written at a time; it does not change the result


@dataclass(frozen=True)
class Decoding:
    """Options of how texts are written.

    Attributes:
        prefix: number of embeddings in the prefix of a text.
        by: ``greedy``, ``beam`` (beam search) or ``sample`` (see :class:`GumbelSampler`).
        beams: number of beams of the beam search.
        temperature: divides the logits when sampling.
        max_length: maximum number of tokens.
    """

    prefix: int
    by: str
    beams: int
    temperature: float
    max_length: int

    def __post_init__(self) -> None:
        require(self.prefix > 0, f"{OPTION}.prefix", self.prefix, "a positive whole number")
        require(
            self.by in ("greedy", "beam", "sample"),
            f"{OPTION}.decoding",
            self.by,
            "greedy, beam or sample",
        )
        require(self.beams > 0, f"{OPTION}.beams", self.beams, "a positive whole number")
        require(
            self.temperature > 0, f"{OPTION}.temperature", self.temperature, "a positive number"
        )
        require(
            self.max_length > 0, f"{OPTION}.max_length", self.max_length, "a positive whole number"
        )

    @property
    def followed(self) -> int:
        """The number of beams; 1 without beam search."""
        return self.beams if self.by == "beam" else 1

    def options(self) -> dict[str, Any]:
        """Return the arguments of the ``GenerationConfig`` of transformers."""
        # GumbelSampler does the sampling.
        return {"max_new_tokens": self.max_length, "do_sample": False, "num_beams": self.followed}


class LanguageModel(nn.Module):
    """Writes texts that continue prefixes.

    Args:
        model: a causal or encoder-decoder language model of transformers.
        tokens: its tokens.
        decoding: how it writes texts.
        frozen: whether the model is not trained.

    Attributes:
        width: of the embeddings of a prefix.
    """

    def __init__(self, model: Any, tokens: Tokens, decoding: Decoding, frozen: bool):
        super().__init__()
        self.tokens, self.decoding, self.frozen = tokens, decoding, frozen
        # In a plain list the model is no submodule, so checkpoints do not contain it.
        self.models = [model] if frozen else nn.ModuleList([model])
        self.width: int = model.get_input_embeddings().weight.shape[-1]
        # Else the model's own settings would apply if an option is not given here.
        model.generation_config = library(GROUP).GenerationConfig()

    @property
    def model(self) -> Any:
        """The language model."""
        return self.models[0]

    @property
    def dtype(self) -> torch.dtype:
        """The data type of the embeddings of a prefix."""
        found: torch.dtype = self.model.get_input_embeddings().weight.dtype
        return found

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        if self.frozen:  # also move the model, which is no submodule
            self.model._apply(fn)
        return super()._apply(fn, recurse)

    def fit(self, texts: Column) -> None:
        """Fit to the training texts what gradients do not learn; most models have nothing to
        fit.
        """

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of a frozen model and its tokens."""
        return fingerprint(self.model, self.tokens, self.model.name_or_path, type(self).__name__)

    def get_extra_state(self) -> str:
        """Return the fingerprint of a frozen model, for checkpoints; empty if the model is
        trained.
        """
        return self.fingerprint if self.frozen else ""

    def set_extra_state(self, state: str) -> None:
        """Raise a ``UserError`` if the frozen model is not the one of the checkpoint."""
        if self.frozen:
            check_fingerprint(state, self.fingerprint, f"{OPTION}.model={self.model.name_or_path}")

    def log_loss(self, prefix: Tensor, texts: Tensor) -> Tensor:
        """Return the negative log-likelihood of each text, in nats per token, ``[n]``.

        Args:
            prefix: ``[n, length, width]``.
            texts: as bytes, ``[n, bytes]``; tokens beyond ``max_length`` are ignored.
        """
        tokens = self.tokens.of(texts)[:, : self.decoding.max_length]
        if torch.is_grad_enabled():
            return self._log_loss(prefix, tokens)
        some = max(1, SCORED // self.tokens.vocabulary)
        parts = zip(prefix.split(some), tokens.split(some), strict=True)
        return torch.cat([self._log_loss(p, t) for p, t in parts])

    def _log_loss(self, prefix: Tensor, tokens: Tensor) -> Tensor:
        kept = tokens >= 0
        length = int(kept.sum(-1).max())
        tokens, kept = tokens[:, :length], kept[:, :length]
        known = tokens.masked_fill(~kept, self.tokens.end)
        losses = F.cross_entropy(
            self._logits(prefix, known).transpose(1, 2), known, reduction="none"
        )
        return (losses * kept).sum(-1) / kept.sum(-1)

    def _logits(self, prefix: Tensor, tokens: Tensor) -> Tensor:
        """Return the logits of each token, given the tokens before it, ``[n, tokens,
        vocabulary]``.
        """
        if self.model.config.is_encoder_decoder:
            first = torch.full_like(tokens[:, :1], self.model.config.decoder_start_token_id)
            before = torch.cat([first, tokens[:, :-1]], dim=1)
            found: Tensor = self.model(inputs_embeds=prefix, decoder_input_ids=before).logits
            return found
        embedded = self.model.get_input_embeddings()(tokens[:, :-1])
        logits: Tensor = self.model(
            inputs_embeds=torch.cat([prefix, embedded], dim=1), use_cache=False
        ).logits
        return logits[:, prefix.shape[1] - 1 :]

    @torch.no_grad()
    def write(self, prefix: Tensor) -> list[str]:
        """Return a text for each prefix of ``[n, length, width]``."""
        some = max(1, WRITTEN // self.decoding.followed)
        return [
            text for part in prefix.split(some) for text in self.tokens.decode(self.generate(part))
        ]

    def generate(self, prefix: Tensor) -> Tensor:
        """Return the tokens of a text for each prefix, generated in one batch with a key-value
        cache.
        """
        known = {
            "eos_token_id": self.tokens.end,
            "pad_token_id": self.tokens.pad,
            "bos_token_id": self.tokens.end,
        }
        starts = self.model.config.is_encoder_decoder  # with a token that is not part of the text
        if starts:
            known["decoder_start_token_id"] = self.model.config.decoder_start_token_id
        config = library(GROUP).GenerationConfig(**known, **self.decoding.options())
        attention_mask = torch.ones(prefix.shape[:2], dtype=torch.long, device=prefix.device)
        chance = [GumbelSampler(self.decoding.temperature)] if self.decoding.by == "sample" else []
        found: Tensor = self.model.generate(
            inputs_embeds=prefix,
            attention_mask=attention_mask,
            generation_config=config,
            logits_processor=chance,
        )
        return found[:, 1:] if starts else found


@dataclass(frozen=True)
class Prefixes:
    """Prefixes from a head for each query, and the language model that continues them.

    Attributes:
        prefixes: ``[B, q, length · width]``.
        model: the language model.
    """

    prefixes: Tensor
    model: LanguageModel

    def texts(self) -> list[list[str]]:
        """Return the text of each query of each episode."""
        flat, queries = self.model.write(self._flat()), self.prefixes.shape[1]
        return [flat[i : i + queries] for i in range(0, len(flat), queries)]

    def loss(self, targets: Tensor) -> Tensor:
        """Return the negative log-likelihood of the texts ``[B, q, bytes]``, in nats per token,
        ``[B, q]``.
        """
        return self.model.log_loss(self._flat(), targets.flatten(0, 1)).unflatten(
            0, targets.shape[:2]
        )

    def numbers(self) -> Tensor:
        """Return the prefixes."""
        return self.prefixes

    def _flat(self) -> Tensor:
        """Return the prefixes as ``[B · q, length, width]``."""
        return self.prefixes.flatten(0, 1).unflatten(-1, (-1, self.model.width))


class GumbelSampler:
    """Samples each token with random numbers that depend only on its position, so that the texts of
    a batch are independent of one another.

    The token with the largest sum of log-probability and Gumbel noise is a sample of the
    distribution (Gumbel, 1954; Maddison et al., 2014).

    Args:
        temperature: divides the logits.
    """

    def __init__(self, temperature: float):
        self.temperature, self.written = temperature, 0

    def __call__(self, before: Tensor, scores: Tensor) -> Tensor:
        """Return the scores ``[n, vocabulary]`` of the next token, divided by the temperature, plus
        noise.
        """
        drawn = torch.rand(scores.shape[-1], generator=torch.Generator().manual_seed(self.written))
        self.written += 1
        return scores / self.temperature - (-drawn.clamp_min(1e-20).log()).log().to(scores.device)
