"""Padding of sequences of different lengths to one tensor, and bucketing by length."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def as_float(value: Any) -> Tensor:
    """Return a raw value as float32; arrays are copied, since a column may be read-only."""
    return (
        value.float()
        if isinstance(value, Tensor)
        else torch.from_numpy(np.array(value, np.float32))
    )


def pad(parts: Sequence[Tensor]) -> Tensor:
    """Stack n tensors ``[length, …]`` as ``[n, longest, …]``, padded with NaN."""
    return pad_sequence(list(parts), batch_first=True, padding_value=torch.nan)


def unpad(padded: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``[n, length, d]`` with 0 in place of NaN, and a mask ``[n, length, 1]``, False on
    padding.
    """
    mask = ~padded[..., :1].isnan()
    return padded.masked_fill(~mask, 0), mask


def in_buckets(encode: Callable[[Any], Tensor], raw: Sequence[Any], size: int) -> Tensor:
    """Embed values of similar length together, ``size`` at a time, to save padding and memory.

    Args:
        encode: maps n values to ``[n, width]``.
        raw: values with a length.
        size: number of values at a time.
    """
    by_length = torch.tensor([len(value) for value in raw]).argsort(stable=True)
    parts = [encode([raw[i] for i in some]) for some in by_length.split(size)]
    return torch.cat(parts)[by_length.argsort()]
