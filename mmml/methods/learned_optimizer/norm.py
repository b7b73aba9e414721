"""Batch normalisation inside of an inner loop, where a batch is one side of one episode."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Statistics(Enum):
    """Which statistics normalise the items of a task."""

    OWN = "of each batch its own"
    FIRST = "those of the first batch, for it and for all that follow"
    RUNNING = "those of training"


class TaskNorm(nn.Module):
    """Batch normalisation that knows when it is inside of a task.

    Outside, it is the layer that it replaces. Inside, :func:`inside_task` says whose statistics
    count: those of the support items, as published MAML's inner loop has it and as Bronskill et
    al. (2020, section 4.1) have it for queries too, which then do not influence one another. Where
    there are no support items of a modality, the running statistics serve.

    Args:
        norm: the layer to replace; its parameters and buffers are kept.
    """

    def __init__(self, norm: _BatchNorm):
        super().__init__()
        self.norm = norm
        self.statistics: Statistics | None = None
        self.first: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """``[n, channels, …]`` → the same shape."""
        norm, statistics = self.norm, self.statistics
        if statistics is None:
            return norm(x)
        if statistics is Statistics.OWN:
            return F.batch_norm(x, None, None, norm.weight, norm.bias, True, 0.0, norm.eps)
        if statistics is Statistics.RUNNING:
            return F.batch_norm(
                x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps
            )
        if self.first is None:
            variance, mean = torch.var_mean(x, [0, *range(2, x.ndim)], correction=0)
            self.first = mean, (variance + norm.eps).sqrt()
        mean, deviation = self.first
        shape = [1, -1] + [1] * (x.ndim - 2)
        gain = (norm.weight / deviation).view(shape)
        return (x - mean.view(shape)) * gain + norm.bias.view(shape)


def with_task_norms(module: nn.Module) -> nn.Module:
    """Put a :class:`TaskNorm` around every batch normalisation below, in place."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, TaskNorm(child))
        elif not isinstance(child, TaskNorm):
            with_task_norms(child)
    return module


def has_task_norms(module: nn.Module) -> bool:
    """Whether there is one below."""
    return any(isinstance(m, TaskNorm) for m in module.modules())


@contextmanager
def inside_task(module: nn.Module, statistics: Statistics) -> Iterator[None]:
    """What is computed here belongs to one task, and every norm below takes these statistics."""
    norms = [m for m in module.modules() if isinstance(m, TaskNorm)]
    for norm in norms:
        norm.statistics = statistics
    try:
        yield
    finally:
        for norm in norms:
            norm.statistics = norm.first = None
