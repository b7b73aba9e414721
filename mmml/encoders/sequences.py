"""Sequences of different lengths as one tensor, and back."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence


def as_float(value: Any) -> Tensor:
    """A value as the dataset keeps it → float32; arrays are copied, since a column
    may be read-only.
    """
    return (
        value.float()
        if isinstance(value, Tensor)
        else torch.from_numpy(np.array(value, np.float32))
    )


def pad(parts: Sequence[Tensor]) -> Tensor:
    """n tensors ``[length, …]`` → ``[n, longest, …]``, NaN where there is nothing."""
    return pad_sequence(list(parts), batch_first=True, padding_value=torch.nan)


def unpad(padded: Tensor) -> tuple[Tensor, Tensor]:
    """``[n, length, d]`` → the same with 0 for NaN, and a mask ``[n, length, 1]``,
    False on padding.
    """
    mask = ~padded[..., :1].isnan()
    return padded.masked_fill(~mask, 0), mask


def in_buckets(encode: Callable[[Any], Tensor], raw: Sequence[Any], size: int) -> Tensor:
    """Embed values of like length together, ``size`` at a time: little padding, bounded memory.

    Args:
        encode: n values → ``[n, width]``.
        raw: values that have a length.
        size: values at a time.
    """
    by_length = torch.tensor([len(value) for value in raw]).argsort(stable=True)
    parts = [encode([raw[i] for i in some]) for some in by_length.split(size)]
    return torch.cat(parts)[by_length.argsort()]
