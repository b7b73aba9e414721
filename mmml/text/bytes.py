"""A tokenizer without training: UTF-8 bytes."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

PAD = 256
VOCABULARY = 257


def to_bytes(texts: Sequence[str], max_length: int, length: int | None = None) -> Tensor:
    """Return texts as bytes, truncated to ``max_length`` and padded with ``PAD``: ``[n, length]``
    int64.

    Args:
        texts: any n strings; an empty one becomes a single space, so that no row is all padding.
        max_length: the largest number of bytes kept of a text.
        length: of the result; by default that of the longest text after truncation.
    """
    encoded = [(t or " ").encode("utf-8")[:max_length] for t in texts]
    length = length or max(map(len, encoded))
    out = np.full((len(encoded), length), PAD, np.int64)
    for row, data in zip(out, encoded, strict=True):
        row[: len(data)] = np.frombuffer(data, np.uint8)
    return torch.from_numpy(out)


def count_bytes(texts: Sequence[str]) -> list[int]:
    """The number of bytes of each text."""
    return [len(text.encode("utf-8")) for text in texts]
