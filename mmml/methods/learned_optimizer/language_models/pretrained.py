"""``method/language_model=pretrained``: a language model of Hugging Face transformers."""

import copy
from typing import Any

from mmml.encoders.hub import load
from mmml.errors import UserError
from mmml.methods.learned_optimizer.language_models.base import (
    OPTION,
    Decoding,
    LanguageModel,
    language_models,
)
from mmml.text.tokens import HubTokens, Tokens


@language_models.register("pretrained")
class Pretrained(LanguageModel):
    """A causal or encoder-decoder model from a local folder or the hub (Tsimpoukelli et al., 2021).

    Args:
        model: a local folder, or a name on the hub.
        frozen: whether the model is not trained.
        prefix: number of embeddings in the prefix of a text.
        max_length: maximum number of tokens of a text, in training and when it is written.
        decoding: ``greedy``, ``beam`` or ``sample``.
        beams: number of beams, for ``beam``.
        temperature: for ``sample``.
    """

    def __init__(
        self,
        model: str,
        frozen: bool,
        prefix: int,
        max_length: int,
        decoding: str,
        beams: int,
        temperature: float,
    ):
        how = Decoding(prefix, decoding, beams, temperature, max_length)
        found, tokens = load_pretrained(model, prefix, max_length, frozen)
        super().__init__(found, tokens, how, frozen)


def load_pretrained(name: str, prefix: int, length: int, frozen: bool) -> tuple[Any, Tokens]:
    """Return a model of transformers and its tokens.

    Args:
        name: a local folder, or a name on the hub.
        prefix: number of positions that a prefix needs.
        length: number of positions that a text needs.
        frozen: whether the model is not trained.

    Raises:
        UserError: the model cannot be loaded, has too few positions, or its tokenizer has no token
            that ends a text.
    """
    option = f"{OPTION}.model"
    config, tokenizer = (load(f"Auto{kind}", name, option) for kind in ("Config", "Tokenizer"))
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"{option}={name}: its tokenizer has no eos_token, which ends a text: give it one, "
            "or choose another"
        )
    encoder_decoder = config.is_encoder_decoder  # the encoder reads the prefix
    needed = max(prefix, length) if encoder_decoder else prefix + length
    most = getattr(config, "max_position_embeddings", None)
    if most is not None and needed > most:
        message = (
            f"{OPTION}.prefix {'and' if encoder_decoder else 'plus'} {OPTION}.max_length "
            f"need {needed}"
        )
        raise UserError(f"{option}={name} has {most} positions, and {message}: ask less")
    model = load(
        "AutoModelForSeq2SeqLM" if encoder_decoder else "AutoModelForCausalLM", name, option
    )
    if hasattr(model, "set_attn_implementation"):
        model.set_attn_implementation("eager")  # fused attention has no second derivative
    return model if frozen else copy.deepcopy(model).requires_grad_(True), HubTokens(tokenizer)
