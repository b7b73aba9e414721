"""``method/language_model=small``: a small GPT-2 that is trained from scratch."""

from typing import Any

from mmml.data.column import Column
from mmml.encoders.hub import library
from mmml.errors import require
from mmml.methods.learned_optimizer.language_models.base import (
    GROUP,
    OPTION,
    Decoding,
    LanguageModel,
    language_models,
)
from mmml.text.tokens import BYTES, PieceTokens, Tokens


@language_models.register("small")
class Small(LanguageModel):
    """A GPT-2 (Radford et al., 2019) without dropout, over bytes or word pieces.

    Args:
        prefix: number of embeddings in the prefix of a text.
        vocabulary: maximum number of word pieces, which are learned from the training texts; None
            for bytes.
        layers: number of transformer layers.
        heads: number of attention heads of each layer; a divisor of ``width``.
        width: of the embeddings.
        max_length: maximum number of tokens of a text, in training and when it is written.
        decoding: ``greedy``, ``beam`` or ``sample``.
        beams: number of beams, for ``beam``.
        temperature: for ``sample``.
    """

    def __init__(
        self,
        prefix: int,
        vocabulary: int | None,
        layers: int,
        heads: int,
        width: int,
        max_length: int,
        decoding: str,
        beams: int,
        temperature: float,
    ):
        how = Decoding(prefix, decoding, beams, temperature, max_length)
        pieces = None if vocabulary is None else PieceTokens(vocabulary)
        tokens: Tokens = BYTES if pieces is None else pieces
        super().__init__(
            gpt2(tokens, width, layers, heads, prefix + max_length), tokens, how, frozen=False
        )
        self._pieces = pieces

    def fit(self, texts: Column) -> None:
        """Learn word pieces from the training texts."""
        if self._pieces is not None:
            self._pieces.fit(map(str, texts.present[:]))

    def get_extra_state(self) -> str:
        """Return the word pieces for checkpoints; empty if there are none."""
        return "" if self._pieces is None else self._pieces.state

    def set_extra_state(self, state: str) -> None:
        """Restore the word pieces of a checkpoint."""
        if self._pieces is not None:
            self._pieces.state = state


def gpt2(tokens: Tokens, width: int, layers: int, heads: int, positions: int) -> Any:
    """Return a GPT-2 of transformers with random weights.

    Args:
        tokens: its tokens.
        width: of the embeddings.
        layers: number of transformer layers.
        heads: number of attention heads of each layer; a divisor of ``width``.
        positions: number of positions for prefix and text together.
    """
    require(layers > 0, f"{OPTION}.layers", layers, "a positive whole number")
    require(width > 0, f"{OPTION}.width", width, "a positive whole number")
    divides = heads > 0 and width % heads == 0
    require(divides, f"{OPTION}.heads", heads, f"a divisor of {OPTION}.width={width}")
    transformers = library(GROUP)
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
