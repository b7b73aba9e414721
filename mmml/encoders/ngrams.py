"""``name: ngrams``: a text as a bag of byte n-grams, each with a learned vector."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmml.encoders.base import Encoder, encoders
from mmml.errors import require
from mmml.text import PAD, bucket_of, count_bytes, hashed_ngrams, to_bytes

EDGE = " "  # put before and after a text, so that its first and last word look like the others


@encoders.register("ngrams")
class NGrams(Encoder):
    """A bag of byte n-grams with hashed vectors (Bojanowski et al., 2017), then a linear layer.

    The vectors of a text's n-grams are summed and divided by the square root of their number. Texts
    with common n-grams have similar embeddings even before training; training learns which n-grams
    matter.

    Args:
        width: of the embedding.
        longest: maximum number of bytes of an n-gram, 2 or more; the minimum is 2.
        buckets: number of vectors; n-grams with the same hash share a vector.
        channels: width of each vector.
        max_length: number of bytes read of each text.
        dropout: the fraction of n-grams that are left out in training, from 0 to below 1.
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
        """Return the bytes of the lower-case texts, int64 ``[n, length]``, padded with ``PAD``."""
        texts = [EDGE + str(text).casefold() + EDGE for text in raw]
        return to_bytes(texts, self.max_length).to(self.device)

    def lengths(self, raw: Sequence[str]) -> tuple[list[int], int]:
        return count_bytes(raw), self.max_length - 2  # without the added spaces

    def forward(self, prepared: Tensor) -> Tensor:
        # Leave out single bytes, which say little.
        found = [*hashed_ngrams(prepared, prepared != PAD, self.longest)][1:]
        hashes, present = (torch.cat(parts, dim=1) for parts in zip(*found, strict=True))
        kept = F.dropout(present.float(), self.dropout, self.training)
        weights = kept / present.sum(-1, keepdim=True).clamp_min(1).sqrt()
        buckets = bucket_of(hashes, self.vectors.num_embeddings)
        vectors = self.vectors(buckets)  # EmbeddingBag has no second derivative
        return self.head((weights.unsqueeze(-2) @ vectors).squeeze(-2))
