"""Batch normalisation in an inner loop, where a batch is one side of one episode."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class Statistics(Enum):
    """The statistics by which the items of a task are normalised."""

    OWN = "of each batch its own"
    FIRST = "those of the first batch, for it and for all that follow"
    RUNNING = "those of training"


class TaskNorm(nn.Module):
    """Batch normalisation with another choice of statistics inside a task.

    Outside of :func:`inside_task`, it works like the layer that it replaces. Inside, it uses the
    statistics that are chosen there: those of the support items, as in the inner loop of published
    MAML. Queries use them, too (Bronskill et al., 2020, section 4.1), so that they do not influence
    one another. If a modality has no support items, the running statistics are used.

    Args:
        norm: the layer to replace; its parameters and buffers are kept.
    """

    def __init__(self, norm: _BatchNorm):
        super().__init__()
        self.norm = norm
        self.statistics: Statistics | None = None
        self.first: tuple[Tensor, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``[n, channels, …]``; the shape stays the same."""
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
    """Replace each batch normalisation in a module by a :class:`TaskNorm`, in place."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm):
            setattr(module, name, TaskNorm(child))
        elif not isinstance(child, TaskNorm):
            with_task_norms(child)
    return module


def has_task_norms(module: nn.Module) -> bool:
    """Whether a module contains a :class:`TaskNorm`."""
    return any(isinstance(m, TaskNorm) for m in module.modules())


@contextmanager
def inside_task(module: nn.Module, statistics: Statistics) -> Iterator[None]:
    """Within this context, the module computes one task, and its norms use these statistics."""
    norms = [m for m in module.modules() if isinstance(m, TaskNorm)]
    for norm in norms:
        norm.statistics = statistics
    try:
        yield
    finally:
        for norm in norms:
            norm.statistics = norm.first = None
