"""The head: from embeddings to a task's outputs, one for each of B tasks at once."""

import torch
from torch import Tensor, nn

from mmml.errors import UserError, require
from mmml.methods.learned_optimizer.update_rules import Params
from mmml.tasks import Task

INITS = ("learned", "zero", "prototype")


class Head(nn.Module):
    """``outputs = scale · (W x + b)``; W and b are fast parameters, scale is a slow one.

    It computes in float64, where there is such a thing: gradients that cancel, such as those of W and b
    summed over all classes, are then zero. In float32 they are 1e-8, which Adam makes a step of full size.

    Args:
        width: of the embeddings.
        init: where W and b begin. ``learned``: what training finds, a row for each label (Finn, Abbeel and
            Levine, 2017). Slots mean nothing, as classes are shuffled among them; an episode of fewer
            classes takes some of the rows, in training at random. ``zero``: the embeddings then have no gradient in
            the first step. ``prototype``: what the task computes of the support set, class means for classes
            (Triantafillou et al., 2020). One row that all classes share (Ye and Chao, 2022) is no choice here, as it
            gives encoders no gradient in the first step either.
        scale: at which the slow parameter begins, positive.
        rows: that are learned, see :meth:`mmml.tasks.Task.prepare_head`.
        per_label: whether rows belong to labels, of which an episode may have fewer.
    """

    def __init__(self, width: int, init: str, scale: float, rows: int, per_label: bool):
        super().__init__()
        require(init in INITS, "method.init", init, f"one of {', '.join(INITS)}")
        require(scale > 0, "method.head_scale", scale, "a positive number")
        self.init, self.per_label = init, per_label
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        if init == "learned":
            self.weight = nn.Parameter(torch.randn(rows, width) / width)
            self.bias = nn.Parameter(torch.zeros(rows))
        self.width, self.rows = width, rows

    @property
    def scale(self) -> Tensor:
        """Positive scalar."""
        return self.log_scale.to(self.dtype).exp()

    @property
    def dtype(self) -> torch.dtype:
        """Of what it computes."""
        return self.log_scale.dtype if self.log_scale.device.type == "mps" else torch.float64

    def template(self) -> Params:
        """One head, of one row where rows are labels."""
        zeros, rows = self.log_scale.new_zeros, 1 if self.per_label else self.rows
        return {"head.weight": zeros(rows, self.width), "head.bias": zeros(rows)}

    def initial(self, task: Task, embedded: Tensor | None, targets: Tensor, outputs: int) -> Params:
        """B heads before the first step.

        Args:
            task: whose outputs they give.
            embedded: of the support set, ``[B, s, width]``; None where ``init`` does not look at it.
            targets: ``[B, s]``.
            outputs: numbers that each head gives.

        Raises:
            UserError: an episode has more classes than rows were learned.
        """
        batch = len(targets)
        if self.init == "prototype":
            assert embedded is not None
            weight, bias = task.init_head(embedded.to(self.dtype), targets, self.scale)
        elif self.init == "learned":
            rows = self._rows(batch, outputs)
            weight, bias = self.weight[rows], self.bias[rows]
        else:
            weight, bias = (self.log_scale.new_zeros(batch, outputs, *size) for size in ((self.width,), ()))
        return {"head.weight": weight.to(self.dtype), "head.bias": bias.to(self.dtype)}

    def _rows(self, batch: int, outputs: int) -> Tensor:
        """The learned rows that each of B heads begins with, ``[B, outputs]``."""
        self.check_outputs(outputs, "the support set")
        device = self.weight.device
        if self.training and outputs < self.rows:
            return torch.rand(batch, self.rows, device=device).argsort(-1)[:, :outputs]
        return torch.arange(outputs, device=device).expand(batch, -1)

    def check_outputs(self, outputs: int, where: str) -> None:
        """Refuse more classes than there are learned rows; ``where`` says what has them."""
        if self.per_label and self.init == "learned" and outputs > self.rows:
            raise UserError(
                f"{where} has {outputs} classes, and method.init=learned has a row for each of {self.rows}, the "
                "ways of training: ask for fewer, or train with more ways or method.init=prototype"
            )

    def forward(self, params: Params, embedded: Tensor) -> Tensor:
        """``[B, n, width]`` → ``[B, n, outputs]``."""
        embedded = embedded.to(self.dtype)
        product = torch.baddbmm(params["head.bias"].unsqueeze(1), embedded, params["head.weight"].mT)
        return self.scale * product
