"""Hashes of the n-grams of texts; equal n-grams have equal hashes, at any position."""

from collections.abc import Iterator

import torch
from torch import Tensor

MIXING, PRIME = 1_000_003, 2**31 - 1


def hashed_ngrams(tokens: Tensor, present: Tensor, longest: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield, for n from 1 to ``longest``, the hash of every n-gram and whether all of its tokens
    are present.

    Args:
        tokens: of texts, −1 or larger, ``[…, length]``.
        present: which tokens are not padding, bool ``[…, length]``.
        longest: the largest n.

    Returns:
        Two tensors ``[…, length − n + 1]`` for each n; hashes are below 2³¹.
    """
    hashes, complete = torch.zeros_like(tokens), torch.ones_like(present)
    for n in range(longest):
        length = max(tokens.shape[-1] - n, 0)
        hashes = (hashes[..., :length] * MIXING + tokens[..., n:] + 1) % PRIME
        complete = complete[..., :length] & present[..., n:]
        yield hashes, complete


def bucket_of(hashes: Tensor, buckets: int) -> Tensor:
    """Map hashes to numbers from 0 to ``buckets`` − 1. Hashes are mixed once more, since otherwise
    n-grams that differ only in the last token would share few buckets.
    """
    return hashes * MIXING % PRIME % buckets
