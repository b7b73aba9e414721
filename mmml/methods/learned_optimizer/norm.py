"""Batch normalisation inside of an inner loop, where a batch is one side of one episode."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class TaskNorm(nn.Module):
    """Batch normalisation that knows when it is inside of a task.

    Outside, it is the layer that it replaces. Inside, :func:`inside_task` says whose statistics
    count: those of the support items, as published MAML's inner loop has it and as Bronskill et
    al. (2020, section 4.1) have it for queries too, which then do not influence one another. Where
    there are no support items of a modality, the running statistics of training serve.

    Args:
        norm: the layer to replace; its parameters and buffers are kept.
    """

    def __init__(self, norm: _BatchNorm):
        super().__init__()
        self.norm = norm
        self.reference: int | None = None

    def forward(self, x: Tensor) -> Tensor:
        """``[n, channels, …]`` → the same shape."""
        norm, rows = self.norm, self.reference
        if rows is None:
            return norm(x)
        if rows == 0:
            return F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps)
        if rows == len(x):
            return F.batch_norm(x, None, None, norm.weight, norm.bias, True, 0.0, norm.eps)
        axes, shape = [0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2)
        mean = x[:rows].mean(axes)
        deviation = (x[:rows].var(axes, correction=0) + norm.eps).sqrt()
        gain = (norm.weight / deviation).view(shape)
        return (x - mean.view(shape)) * gain + norm.bias.view(shape)


def with_task_norms(module: nn.Module) -> nn.Module:
    """Put a :class:`TaskNorm` around every batch normalisation below, in place."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, TaskNorm(child))
        else:
            with_task_norms(child)
    return module


@contextmanager
def inside_task(module: nn.Module, reference: int) -> Iterator[None]:
    """Every norm below takes its statistics from the first ``reference`` items (0: the running ones)."""
    norms = [m for m in module.modules() if isinstance(m, TaskNorm)]
    for norm in norms:
        norm.reference = reference
    try:
        yield
    finally:
        for norm in norms:
            norm.reference = None
