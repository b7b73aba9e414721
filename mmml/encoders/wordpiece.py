"""``name: wordpiece``: a small transformer over word pieces learnt from the training texts."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmml.encoders.base import chunks, encoders
from mmml.encoders.byte_transformer import TextTransformer
from mmml.errors import UserError, require
from mmml.text.wordpiece import PAD, WordPieces


@encoders.register("wordpiece")
class WordPiece(TextTransformer):
    """A transformer over word pieces (Devlin et al., 2019), whose vocabulary is trained on
    the training split.

    The vocabulary is part of the state, so that a checkpoint needs no other file.

    Args:
        width: of the embedding.
        channels: of the transformer; a multiple of ``heads``.
        layers: of the transformer.
        heads: of the attention.
        max_length: word pieces read of each text.
        dropout: between 0 and 1, in training mode.
        vocabulary: word pieces at most; rows of the embedding table, whatever the texts.
    """

    def __init__(
        self,
        width: int,
        channels: int,
        layers: int,
        heads: int,
        max_length: int,
        dropout: float,
        vocabulary: int,
    ):
        require(vocabulary >= 32, "encoder.text.vocabulary", vocabulary, "32 or more")
        super().__init__(
            width, channels, layers, heads, max_length, dropout, vocabulary, PAD, stride=1
        )
        self.pieces_of: WordPieces | None = None

    def fit(self, values: Any) -> None:
        texts = (str(text) for chunk in chunks(values) for text in chunk)
        self.pieces_of = WordPieces.train(texts, self.tokens.num_embeddings)

    def prepare(self, raw: Sequence[str]) -> Tensor:
        if self.pieces_of is None:
            raise UserError(
                "encoder.text.name=wordpiece has no vocabulary yet: it is learnt from "
                "the training texts"
            )
        return self.pieces_of(raw, self.max_length).to(self.device)

    def lengths(self, raw: Sequence[str]) -> tuple[list[int], int] | None:
        return None if self.pieces_of is None else (self.pieces_of.count(raw), self.max_length)

    def get_extra_state(self) -> str:
        """The vocabulary as JSON, empty before ``fit``."""
        return self.pieces_of.state if self.pieces_of is not None else ""

    def set_extra_state(self, state: str) -> None:
        """Take over what ``get_extra_state`` gave."""
        self.pieces_of = WordPieces(state) if state else None
