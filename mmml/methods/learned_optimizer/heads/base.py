"""The base class of heads: linear maps from embeddings to a task's outputs, one for each of B
tasks.
"""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mmml.data.base import Samples
from mmml.episodes import EpisodeShape
from mmml.errors import UserError, require
from mmml.methods.learned_optimizer.update_rules import Params
from mmml.registry import Registry
from mmml.tasks import Task

INITS = ("learned", "zero", "prototype")

heads = Registry("head", "mmml.methods.learned_optimizer.heads")
"""Heads by the form of a task's answers, see :class:`mmml.tasks.Task`."""


class Head(nn.Module):
    """A linear layer ``outputs = scale · (W x + b)``: W and b are adapted to each task, and the
    scale is learned across tasks.

    It computes in float64 where the device can. There, gradients that cancel, such as the sum over
    all classes of the gradients of W and b, are zero. In float32 about 1e-8 remains, which Adam
    turns into a full step.

    Args:
        width: of the embeddings.
        init: the initial W and b. ``learned``: meta-learned (Finn, Abbeel and Levine, 2017).
            ``zero``: then embeddings have no gradient in the first step. ``prototype``: computed
            from the support set, for example from class means (Triantafillou et al., 2020).
        scale: initial value of the scale, positive.
        rows: number of learned rows of W and b.

    Class attributes:
        per_label: whether each row belongs to a label; an episode may have fewer labels than rows.
        shows_support: whether the initial head of ``prototype`` depends on the embeddings of the
            support set.
    """

    per_label: ClassVar[bool] = False
    shows_support: ClassVar[bool] = False

    def __init__(self, width: int, init: str, scale: float, rows: int):
        super().__init__()
        require(init in INITS, "method.init", init, f"one of {', '.join(INITS)}")
        require(scale > 0, "method.head_scale", scale, "a positive number")
        self.init = init
        self.log_scale = nn.Parameter(torch.tensor(scale).log())
        if init == "learned":
            self.weight = nn.Parameter(torch.randn(rows, width) / width)
            self.bias = nn.Parameter(torch.zeros(rows))
        self.width, self.rows = width, rows

    def fit(self, samples: Samples, task: Task) -> None:
        """Fit to the training split what gradients do not learn; most heads have nothing to fit."""

    def max_episodes(self, shape: EpisodeShape) -> int | None:
        """Return how many episodes of a shape can be adapted to at a time; None for as many as fit
        in memory.
        """
        return None

    def output_size(self, task: Task, support_targets: Tensor) -> int:
        """Return the number of outputs for each item, by the targets of the support set."""
        return task.output_size(support_targets)

    def decode(self, task: Task, outputs: Tensor) -> Any:
        """Return the task's predictions from outputs ``[B, q, outputs]``."""
        return task.decode(outputs)

    def computed(self, embedded: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return W ``[B, outputs, width]`` and b ``[B, outputs]`` for ``init=prototype``.

        Args:
            embedded: the support set, ``[B, s, width]``.
            targets: of the support set, ``[B, s, …]``.
        """
        raise NotImplementedError

    @property
    def scale(self) -> Tensor:
        """The scale, a positive scalar."""
        return self.log_scale.to(self.dtype).exp()

    @property
    def dtype(self) -> torch.dtype:
        """The precision in which the head computes."""
        return self.log_scale.dtype if self.log_scale.device.type == "mps" else torch.float64

    def template(self) -> Params:
        """Return tensors with the shapes of one head's parameters, with a single row if rows belong
        to labels.
        """
        zeros, rows = self.log_scale.new_zeros, 1 if self.per_label else self.rows
        return {"head.weight": zeros(rows, self.width), "head.bias": zeros(rows)}

    def initial(self, embedded: Tensor | None, targets: Tensor, outputs: int) -> Params:
        """Return the initial parameters of B heads.

        Args:
            embedded: the support set, ``[B, s, width]``; may be None unless ``init`` is
                ``prototype``.
            targets: of the support set, ``[B, s, …]``.
            outputs: number of outputs of each head.

        Raises:
            UserError: an episode has more classes than there are learned rows.
        """
        batch = len(targets)
        if self.init == "prototype":
            assert embedded is not None
            weight, bias = self.computed(embedded.to(self.dtype), targets)
        elif self.init == "learned":
            rows = self._rows(batch, outputs)
            weight, bias = self.weight[rows], self.bias[rows]
        else:
            weight, bias = (
                self.log_scale.new_zeros(batch, outputs, *size) for size in ((self.width,), ())
            )
        return {"head.weight": weight.to(self.dtype), "head.bias": bias.to(self.dtype)}

    def _rows(self, batch: int, outputs: int) -> Tensor:
        """Return the numbers of the learned rows that initialise each of B heads, ``[B,
        outputs]``.
        """
        self.check_outputs(outputs, "the support set")
        device = self.weight.device
        if self.training and outputs < self.rows:
            return torch.rand(batch, self.rows, device=device).argsort(-1)[:, :outputs]
        return torch.arange(outputs, device=device).expand(batch, -1)

    def check_outputs(self, outputs: int, where: str) -> None:
        """Raise a ``UserError`` if there are more classes than learned rows; ``where`` says in the
        message what has them.
        """
        if self.per_label and self.init == "learned" and outputs > self.rows:
            raise UserError(
                f"{where} has {outputs} classes, and method.init=learned has a row for each "
                f"of {self.rows}, the ways of training: ask for fewer, or train with more ways or "
                "method.init=prototype"
            )

    def forward(self, params: Params, embedded: Tensor) -> Tensor:
        """Return outputs ``[B, n, outputs]`` for embeddings ``[B, n, width]``."""
        embedded = embedded.to(self.dtype)
        product = torch.baddbmm(
            params["head.bias"].unsqueeze(1), embedded, params["head.weight"].mT
        )
        return self.scale * product
