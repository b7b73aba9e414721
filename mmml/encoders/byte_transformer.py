"""``name: byte_transformer``: a small transformer over the bytes of a text."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.attention import AttentionEncoder, Transformer
from mmml.encoders.base import encoders
from mmml.encoders.sequences import in_buckets
from mmml.errors import require
from mmml.text import PAD, VOCABULARY, count_bytes, to_bytes

BUCKET = 64  # texts embedded at a time


class TextTransformer(AttentionEncoder):
    """Token embeddings, a convolution over neighbouring tokens, then a transformer.

    A subclass returns the tokens from ``prepare``, int64 ``[n, length]``; no row may be all
    padding.

    Args:
        width: of the embedding.
        channels: width of the transformer; a multiple of ``heads``.
        layers: of the transformer.
        heads: of the attention.
        max_length: number of tokens read of each text.
        dropout: dropout rate in training, from 0 to below 1.
        vocabulary: number of different tokens.
        pad: the padding token.
        stride: number of tokens that are merged into one position.
    """

    modality = "text"

    def __init__(
        self,
        width: int,
        channels: int,
        layers: int,
        heads: int,
        max_length: int,
        dropout: float,
        vocabulary: int,
        pad: int,
        stride: int,
    ):
        super().__init__()
        for name, value in (("channels", channels), ("max_length", max_length)):
            require(value > 0, f"encoder.text.{name}", value, "a positive whole number")
        self.max_length, self.pad, self.stride = max_length, pad, stride
        self.tokens = nn.Embedding(vocabulary, channels, padding_idx=pad)
        self.positions = nn.Parameter(torch.randn(max_length, channels) * 0.02)
        self.pieces = nn.Conv1d(channels, channels, 5, stride=stride, padding=2)
        self.transformer = Transformer(channels, layers, heads, dropout, "encoder.text")
        self.head = nn.Linear(channels, width)

    def embed_positions(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        mask = (prepared != self.pad).unsqueeze(-1)
        x = self.tokens(prepared) + self.positions[: prepared.shape[1]] * mask
        return F.gelu(self.pieces(x.mT).mT), mask[:, :: self.stride]

    def encode(self, raw: Sequence[str]) -> Tensor:
        """Embed texts of similar length together, which saves padding."""
        return in_buckets(super().encode, raw, BUCKET)


@encoders.register("byte_transformer")
class ByteTransformer(TextTransformer):
    """A transformer over UTF-8 bytes, two bytes a position; it needs no tokenizer and reads any
    language.

    Args:
        width: of the embedding.
        channels: width of the transformer; a multiple of ``heads``.
        layers: of the transformer.
        heads: of the attention.
        max_length: number of bytes read of each text.
        dropout: dropout rate in training, from 0 to below 1.
    """

    def __init__(
        self, width: int, channels: int, layers: int, heads: int, max_length: int, dropout: float
    ):
        super().__init__(
            width, channels, layers, heads, max_length, dropout, VOCABULARY, PAD, stride=2
        )

    def prepare(self, raw: Sequence[str]) -> Tensor:
        return to_bytes(raw, self.max_length).to(self.device)

    def lengths(self, raw: Sequence[str]) -> tuple[list[int], int]:
        return count_bytes(raw), self.max_length
