"""The head: from embeddings to a task's outputs, one for each of B tasks at once."""

import torch
from torch import Tensor, nn

from mmml.errors import require
from mmml.methods.learned_optimizer.rules import Params
from mmml.tasks import Task

INITS = ("learned", "zero", "prototype")


class Head(nn.Module):
    """``outputs = scale · (W x + b)``; W and b are fast parameters, scale is a slow one.

    Args:
        width: of the embeddings.
        init: where W and b begin. ``learned``: what training finds; one row and one number that all classes share,
            since the slot of a class means nothing (Ye and Chao, 2022). ``zero``. ``prototype``: what the
            task computes of the support set, class means for classes (Triantafillou et al., 2020).
        scale: at which the slow parameter begins, positive.
        rows: that are learned, see :meth:`mmml.tasks.Task.prepare_head`.
    """

    def __init__(self, width: int, init: str, scale: float, rows: int = 1):
        super().__init__()
        require(init in INITS, "method.init", init, f"one of {', '.join(INITS)}")
        require(scale > 0, "method.scale", scale, "a positive number")
        self.init = init
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        if init == "learned":
            self.weight = nn.Parameter(torch.randn(rows, width) / width)
            self.bias = nn.Parameter(torch.zeros(rows))
        self.width, self.rows = width, rows

    @property
    def scale(self) -> Tensor:
        """Positive scalar."""
        return self.log_scale.exp()

    def template(self) -> Params:
        """One head, of one row where all are alike."""
        zeros = self.log_scale.new_zeros
        return {"head.weight": zeros(self.rows, self.width), "head.bias": zeros(self.rows)}

    def initial(self, task: Task, embedded: Tensor | None, targets: Tensor, outputs: int) -> Params:
        """B heads before the first step.

        Args:
            task: whose outputs they give.
            embedded: of the support set, ``[B, s, width]``; None where ``init`` does not look at it.
            targets: ``[B, s]``.
            outputs: numbers that each head gives.
        """
        batch = len(targets)
        if self.init == "prototype":
            assert embedded is not None
            weight, bias = task.first_head(embedded, targets, self.scale)
        elif self.init == "learned":
            weight, bias = self.weight.expand(batch, outputs, -1), self.bias.expand(batch, outputs)
        else:
            zeros = self.log_scale.new_zeros
            weight, bias = zeros(batch, outputs, self.width), zeros(batch, outputs)
        return {"head.weight": weight, "head.bias": bias}

    def forward(self, params: Params, embedded: Tensor) -> Tensor:
        """``[B, n, width]`` → ``[B, n, outputs]``."""
        product = torch.baddbmm(params["head.bias"].unsqueeze(1), embedded, params["head.weight"].mT)
        return self.scale * product
