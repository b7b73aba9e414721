"""Losses that store their gradient instead of their graph, so that only one graph is in memory at a
time.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


def cache_gradient(loss: Tensor, parameters: Iterable[Tensor]) -> Tensor:
    """Return a loss with the same value and gradient, but without its graph. It can be
    differentiated once.

    Args:
        loss: a scalar.
        parameters: all parameters that the loss depends on.
    """
    if not loss.requires_grad:
        return loss
    wanted = [p for p in parameters if p.requires_grad]
    return _Settled.apply(
        loss.detach(), torch.autograd.grad(loss, wanted, allow_unused=True), *wanted
    )


class _Settled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, loss: Tensor, gradients: tuple[Tensor | None, ...], *parameters: Tensor
    ) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Any:
        return None, None, *(None if g is None else upstream * g for g in ctx.gradients)
