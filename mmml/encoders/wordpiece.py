"""``name: wordpiece``: a small transformer over word pieces learned from the training texts."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmml.encoders.base import chunks, encoders
from mmml.encoders.byte_transformer import TextTransformer
from mmml.errors import UserError, require
from mmml.text.wordpiece import PAD, WordPieces


@encoders.register("wordpiece")
class WordPiece(TextTransformer):
    """A transformer over word pieces (Devlin et al., 2019); their vocabulary is learned from the
    training split.

    The vocabulary is part of the state, so that a checkpoint needs no other file.

    Args:
        width: of the embedding.
        channels: width of the transformer; a multiple of ``heads``.
        layers: of the transformer.
        heads: of the attention.
        max_length: number of word pieces read of each text.
        dropout: dropout rate in training, from 0 to below 1.
        vocabulary: maximum number of word pieces, and the number of rows of the embedding table.
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
        """Return the vocabulary as JSON; empty before ``fit``."""
        return self.pieces_of.state if self.pieces_of is not None else ""

    def set_extra_state(self, state: str) -> None:
        """Restore the vocabulary from the output of ``get_extra_state``."""
        self.pieces_of = WordPieces(state) if state else None
