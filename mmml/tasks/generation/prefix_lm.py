"""A language model that goes on from a prefix of embeddings (Tsimpoukelli et al., 2021; Mokady et al., 2021)."""

import copy
import functools
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.hub import check_fingerprint, fingerprint, library, load
from mmml.errors import UserError, require
from mmml.tasks.generation.tokens import HubTokens, Tokens

JUDGED = 2**17  # texts × vocabulary that are judged at a time; the result does not depend on it
WRITTEN = 256  # texts × beams that are written at a time; the result does not depend on it


@dataclass(frozen=True)
class Decoding:
    """How texts are written.

    Attributes:
        by: ``greedy``; ``beam``, the best of several that are followed; or ``sample``, see :class:`GumbelSampler`.
        beams: that are followed.
        temperature: of samples: what scores are divided by.
        max_length: tokens at most.
    """

    by: str
    beams: int
    temperature: float
    max_length: int

    def __post_init__(self) -> None:
        require(self.by in ("greedy", "beam", "sample"), "task.decoding", self.by, "greedy, beam or sample")
        require(self.beams > 0, "task.beams", self.beams, "a positive whole number")
        require(self.temperature > 0, "task.temperature", self.temperature, "a positive number")
        require(self.max_length > 0, "task.max_length", self.max_length, "a positive whole number")

    @property
    def followed(self) -> int:
        """Texts that are followed at once, of which the best is taken."""
        return self.beams if self.by == "beam" else 1

    def options(self) -> dict[str, Any]:
        """As transformers calls them."""
        return {"max_new_tokens": self.max_length, "do_sample": False, "num_beams": self.followed}  # chance: see Chance


class Writer(nn.Module):
    """Texts from prefixes.

    Args:
        model: a causal or an encoder-decoder language model of transformers.
        tokens: that it reads and writes.
        decoding: how it writes.
        frozen: whether the model stays as it is.

    Attributes:
        width: of the embeddings of a prefix.
    """

    def __init__(self, model: Any, tokens: Tokens, decoding: Decoding, frozen: bool):
        super().__init__()
        self.tokens, self.decoding, self.frozen = tokens, decoding, frozen
        # In a plain list it is no submodule: no parameter, and not part of checkpoints.
        self.models = [model] if frozen else nn.ModuleList([model])
        self.width: int = model.get_input_embeddings().weight.shape[-1]
        # Else the model's own would fill in what is not said here.
        model.generation_config = library("task=generation").GenerationConfig()

    @property
    def model(self) -> Any:
        """The language model."""
        return self.models[0]

    @property
    def dtype(self) -> torch.dtype:
        """Of the embeddings of a prefix."""
        found: torch.dtype = self.model.get_input_embeddings().weight.dtype
        return found

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        if self.frozen:  # the model moves along, though it is no submodule
            self.model._apply(fn)
        return super()._apply(fn, recurse)

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of a frozen model and its tokens."""
        return fingerprint(self.model, self.tokens, self.model.name_or_path, type(self).__name__)

    def get_extra_state(self) -> str:
        """For checkpoints: which frozen model they belong to."""
        return self.fingerprint if self.frozen else ""

    def set_extra_state(self, state: str) -> None:
        """Refuse another frozen model than the checkpoint's."""
        if self.frozen:
            check_fingerprint(state, self.fingerprint, f"task.model={self.model.name_or_path}")

    def log_loss(self, prefix: Tensor, texts: Tensor) -> Tensor:
        """What is lost of each text by predicting it token by token, in nats a token.

        Args:
            prefix: ``[n, length, width]``.
            texts: as bytes, ``[n, bytes]``; tokens beyond ``task.max_length`` are left out.
        """
        tokens = self.tokens.of(texts)[:, : self.decoding.max_length]
        if torch.is_grad_enabled():
            return self._log_loss(prefix, tokens)
        some = max(1, JUDGED // self.tokens.vocabulary)
        parts = zip(prefix.split(some), tokens.split(some), strict=True)
        return torch.cat([self._log_loss(p, t) for p, t in parts])

    def _log_loss(self, prefix: Tensor, tokens: Tensor) -> Tensor:
        kept = tokens >= 0
        length = int(kept.sum(-1).max())
        tokens, kept = tokens[:, :length], kept[:, :length]
        known = tokens.masked_fill(~kept, self.tokens.end)
        losses = F.cross_entropy(self._logits(prefix, known).transpose(1, 2), known, reduction="none")
        return (losses * kept).sum(-1) / kept.sum(-1)

    def _logits(self, prefix: Tensor, tokens: Tensor) -> Tensor:
        """Of every token, given those before, ``[n, tokens, vocabulary]``."""
        if self.model.config.is_encoder_decoder:
            first = torch.full_like(tokens[:, :1], self.model.config.decoder_start_token_id)
            before = torch.cat([first, tokens[:, :-1]], dim=1)
            found: Tensor = self.model(inputs_embeds=prefix, decoder_input_ids=before).logits
            return found
        embedded = self.model.get_input_embeddings()(tokens[:, :-1])
        logits: Tensor = self.model(inputs_embeds=torch.cat([prefix, embedded], dim=1), use_cache=False).logits
        return logits[:, prefix.shape[1] - 1 :]

    @torch.no_grad()
    def write(self, prefix: Tensor) -> list[str]:
        """A text for each prefix, ``[n, length, width]``."""
        some = max(1, WRITTEN // self.decoding.followed)
        return [text for part in prefix.split(some) for text in self.tokens.decode(self.generate(part))]

    def generate(self, prefix: Tensor) -> Tensor:
        """The tokens of a text for each prefix, all at once, with cached keys."""
        known = {"eos_token_id": self.tokens.end, "pad_token_id": self.tokens.pad, "bos_token_id": self.tokens.end}
        starts = self.model.config.is_encoder_decoder  # with a token that is no part of the text
        if starts:
            known["decoder_start_token_id"] = self.model.config.decoder_start_token_id
        config = library("task=generation").GenerationConfig(**known, **self.decoding.options())
        attention_mask = torch.ones(prefix.shape[:2], dtype=torch.long, device=prefix.device)
        chance = [GumbelSampler(self.decoding.temperature)] if self.decoding.by == "sample" else []
        found: Tensor = self.model.generate(
            inputs_embeds=prefix, attention_mask=attention_mask, generation_config=config, logits_processor=chance
        )
        return found[:, 1:] if starts else found


class GumbelSampler:
    """Draws every token by numbers of its place alone, so that no text depends on those that are written beside it.

    The most probable one, after Gumbel noise, is a draw from the distribution (Gumbel, 1954; Maddison et al., 2014).

    Args:
        temperature: what scores are divided by.
    """

    def __init__(self, temperature: float):
        self.temperature, self.written = temperature, 0

    def __call__(self, before: Tensor, scores: Tensor) -> Tensor:
        """The scores ``[n, vocabulary]`` of the next token."""
        drawn = torch.rand(scores.shape[-1], generator=torch.Generator().manual_seed(self.written))
        self.written += 1
        return scores / self.temperature - (-drawn.clamp_min(1e-20).log()).log().to(scores.device)


def from_scratch(tokens: Tokens, width: int, layers: int, heads: int, positions: int) -> Any:
    """A small GPT-2 (Radford et al., 2019) without dropout.

    Args:
        tokens: that it writes.
        width: of its embeddings.
        layers: of attention.
        heads: of each layer; they share out the width.
        positions: of prefix and text together.
    """
    require(layers > 0, "task.layers", layers, "a positive whole number")
    require(width > 0, "task.width", width, "a positive whole number")
    divides = heads > 0 and width % heads == 0
    require(divides, "task.heads", heads, f"a divisor of task.width={width}")
    transformers = library("task=generation")
    off = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), 0.0)
    special = {"bos_token_id": tokens.end, "eos_token_id": tokens.end, "pad_token_id": tokens.pad}
    config = transformers.GPT2Config(
        vocab_size=tokens.vocabulary,
        n_positions=positions,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        attn_implementation="eager",  # fused attention has no second derivative
        **off,
        **special,
    )
    return transformers.GPT2LMHeadModel(config)


def pretrained(name: str, prefix: int, length: int, frozen: bool) -> tuple[Any, Tokens]:
    """A model of transformers, from a local folder or by its name, and its tokens.

    Args:
        name: of the folder, or on the hub.
        prefix: positions that it must have for one.
        length: positions that it must have for a text.
        frozen: whether it stays as it is.
    """
    config, tokenizer = (load(f"Auto{kind}", name, "task.model") for kind in ("Config", "Tokenizer"))
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"task.model={name}: its tokenizer has no eos_token, which ends a text: give it one, or choose another"
        )
    encoder_decoder = config.is_encoder_decoder  # the prefix is read by a part of its own
    needed, most = (
        max(prefix, length) if encoder_decoder else prefix + length,
        getattr(config, "max_position_embeddings", None),
    )
    if most is not None and needed > most:
        message = f"task.prefix {'and' if encoder_decoder else 'plus'} task.max_length need {needed}"
        raise UserError(f"task.model={name} has {most} positions, and {message}: ask less")
    kind = "AutoModelForSeq2SeqLM" if encoder_decoder else "AutoModelForCausalLM"
    model = load(kind, name, "task.model")
    if hasattr(model, "set_attn_implementation"):
        model.set_attn_implementation("eager")  # as above
    return model if frozen else copy.deepcopy(model).requires_grad_(True), HubTokens(tokenizer)
