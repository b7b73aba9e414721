"""A language model that goes on from a prefix of embeddings (Tsimpoukelli et al., 2021; Mokady et al., 2021)."""

import copy
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.hub import library, load
from mmml.errors import UserError, require
from mmml.tasks.generation.tokens import HubTokens, Tokens

AT_ONCE = 512  # texts judged or written at a time; only samples depend on it


@dataclass(frozen=True)
class Decoding:
    """How texts are written.

    Attributes:
        by: ``greedy``; ``beam``, the best of several that are followed; or ``sample``, by chance, always the same.
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

    def options(self) -> dict[str, Any]:
        """As transformers calls them."""
        chosen: dict[str, dict[str, Any]] = {
            "greedy": {},
            "beam": {"num_beams": self.beams},
            "sample": {"do_sample": True, "temperature": self.temperature, "top_k": 0},
        }
        return {"max_new_tokens": self.max_length, "do_sample": False, "num_beams": 1} | chosen[self.by]


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
        if frozen:  # kept out of the parameters, and so out of checkpoints
            self.__dict__["model"] = model
        else:
            self.model = model
        self.width: int = model.get_input_embeddings().weight.shape[-1]

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        if self.frozen:  # the model moves along, though it is no submodule
            self.model._apply(fn)
        return super()._apply(fn, recurse)

    def log_loss(self, prefix: Tensor, tokens: Tensor) -> Tensor:
        """What is lost of each text by predicting it token by token, in nats a token.

        Args:
            prefix: ``[n, length, width]``.
            tokens: ``[n, tokens]``, −1 where there are none; more than ``task.max_length`` are left out.
        """
        tokens = tokens[:, : self.decoding.max_length]
        if torch.is_grad_enabled():
            return self._log_loss(prefix, tokens)
        parts = zip(prefix.split(AT_ONCE), tokens.split(AT_ONCE), strict=True)
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
        return [text for part in prefix.split(AT_ONCE) for text in self.tokens.write(self.generate(part))]

    def generate(self, prefix: Tensor) -> Tensor:
        """The tokens of a text for each prefix, at most as many as may be held at once, with cached keys."""
        from transformers import GenerationConfig

        known = {"eos_token_id": self.tokens.end, "pad_token_id": self.tokens.pad, "bos_token_id": self.tokens.end}
        if self.model.config.is_encoder_decoder:
            known["decoder_start_token_id"] = self.model.config.decoder_start_token_id
        config = GenerationConfig(**known, **self.decoding.options())
        seen = torch.ones(prefix.shape[:2], dtype=torch.long, device=prefix.device)
        with torch.random.fork_rng(enabled=self.decoding.by == "sample"):
            if self.decoding.by == "sample":
                torch.manual_seed(0)
            found: Tensor = self.model.generate(inputs_embeds=prefix, attention_mask=seen, generation_config=config)
        return found


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


def pretrained(name: str, positions: int, frozen: bool) -> tuple[Any, Tokens]:
    """A model of transformers, from a local folder or by its name, and its tokens.

    Args:
        name: of the folder, or on the hub.
        positions: of prefix and text together, that it must have.
        frozen: whether it stays as it is.
    """
    config = load("AutoConfig", name, "task.model")
    most = getattr(config, "n_positions", getattr(config, "max_position_embeddings", positions))
    if not config.is_encoder_decoder and positions > most:
        raise UserError(
            f"task.model={name} has {most} positions, and task.prefix plus task.max_length need {positions}: ask less"
        )
    kind = "AutoModelForSeq2SeqLM" if config.is_encoder_decoder else "AutoModelForCausalLM"
    model, tokens = load(kind, name, "task.model"), HubTokens(load("AutoTokenizer", name, "task.model"))
    if hasattr(model, "set_attn_implementation"):
        model.set_attn_implementation("eager")  # as above
    return model if frozen else copy.deepcopy(model).requires_grad_(True), tokens
