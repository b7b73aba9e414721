"""The n-grams of texts, as hashes: what is the same has the same number, wherever it stands."""

from collections.abc import Iterator

import torch
from torch import Tensor

MIXING, PRIME = 1_000_003, 2**31 - 1


def hashed_ngrams(tokens: Tensor, present: Tensor, longest: int) -> Iterator[tuple[Tensor, Tensor]]:
    """For n from 1 to ``longest`` the hash of every n-gram, and whether all of it is there.

    Args:
        tokens: of texts, −1 or more, ``[…, length]``.
        present: which are no padding, ``[…, length]``.
        longest: the most tokens.

    Returns:
        ``[…, length − n + 1]`` twice for each n; below 2³¹.
    """
    hashes, complete = torch.zeros_like(tokens), torch.ones_like(present)
    for n in range(longest):
        length = max(tokens.shape[-1] - n, 0)
        hashes = (hashes[..., :length] * MIXING + tokens[..., n:] + 1) % PRIME
        complete = complete[..., :length] & present[..., n:]
        yield hashes, complete


def bucket_of(hashes: Tensor, buckets: int) -> Tensor:
    """From 0 to below ``buckets``; mixed once more, else n-grams that differ in the last
    token would lie in few.
    """
    return hashes * MIXING % PRIME % buckets
