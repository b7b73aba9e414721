"""``name: ngrams``: a text as the bag of its n-grams, each with a vector of its own."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.base import Encoder, encoders
from mmml.errors import require
from mmml.text import PAD, bucket_of, count_bytes, hashed_ngrams, to_bytes

EDGE = " "  # around a text, so that words at its edges look as those within


@encoders.register("ngrams")
class NGrams(Encoder):
    """The vectors of a text's n-grams of bytes, hashed (Bojanowski et al., 2017),
    and a linear layer.

    The vectors are summed and divided by the root of their number.

    Before any training texts with common n-grams are near already; training learns
    which of them matter.

    Args:
        width: of the embedding.
        longest: n-grams of 2 to so many bytes.
        buckets: vectors, shared by the n-grams that a hash puts together.
        channels: of each vector.
        max_length: bytes read of each text.
        dropout: the fraction of n-grams that training leaves out, from 0 to below 1.
    """

    modality = "text"

    def __init__(
        self, width: int, longest: int, buckets: int, channels: int, max_length: int, dropout: float
    ):
        super().__init__()
        for name, value in (
            ("buckets", buckets),
            ("channels", channels),
            ("max_length", max_length),
        ):
            require(value > 0, f"encoder.text.{name}", value, "a positive whole number")
        require(longest >= 2, "encoder.text.longest", longest, "2 or more")
        require(0 <= dropout < 1, "encoder.text.dropout", dropout, "a number from 0 to below 1")
        self.longest, self.max_length, self.dropout = longest, max_length, dropout
        self.vectors = nn.Embedding(buckets, channels)
        self.head = nn.Linear(channels, width)

    def prepare(self, raw: Sequence[str]) -> Tensor:
        """Bytes in lower case, ``PAD`` behind them."""
        texts = [EDGE + str(text).casefold() + EDGE for text in raw]
        return to_bytes(texts, self.max_length).to(self.device)

    def lengths(self, raw: Sequence[str]) -> tuple[list[int], int]:
        return count_bytes(raw), self.max_length - 2  # without the edges

    def forward(self, prepared: Tensor) -> Tensor:
        # Single bytes tell little.
        found = [*hashed_ngrams(prepared, prepared != PAD, self.longest)][1:]
        hashes, present = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        kept = F.dropout(present.float(), self.dropout, self.training)
        weights = kept / present.sum(-1, keepdim=True).clamp_min(1).sqrt()
        buckets = bucket_of(hashes, self.vectors.num_embeddings)
        vectors = self.vectors(buckets)  # by an EmbeddingBag they would have no second derivative
        return self.head((weights.unsqueeze(-2) @ vectors).squeeze(-2))
