"""The models that an inner loop adapts: the head on fixed embeddings, or encoders and head."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from mmml.encoders import Embedder, Encoder
from mmml.episodes import ExampleSet
from mmml.errors import UserError
from mmml.methods.learned_optimizer.heads import Head
from mmml.methods.learned_optimizer.norm import (
    Statistics,
    has_task_norms,
    inside_task,
    with_task_norms,
)
from mmml.methods.learned_optimizer.update_rules import Params
from mmml.similarity.distances import unit

LOOPED = (nn.Conv1d, nn.Conv2d, nn.Conv3d)  # on a CPU, slower under vmap than in a loop


@dataclass(frozen=True)
class EncodedSet:
    """One side of some episodes, encoded before the inner loop.

    Attributes:
        inputs: the output of :meth:`Model.encode`.
        targets: of the items, ``[B, n, …]``.
        outputs: number of outputs of the head for each item.
        first: number of the first of these episodes in the batch.
    """

    inputs: Any
    targets: Tensor
    outputs: int
    first: int = 0


class Model(nn.Module, ABC):
    """Base class: B models, one for each task; they share all parameters that are not adapted.

    Args:
        embedder: the encoders and their fusion.
        head: maps embeddings to outputs.

    Class attributes:
        embeds_once: see :class:`mmml.methods.Learner`.
    """

    embeds_once: ClassVar[bool]

    def __init__(self, embedder: Embedder, head: Head):
        super().__init__()
        self.embedder, self.head = embedder, head

    def template(self) -> Params:
        """Return tensors with the shapes of the adapted parameters of one model."""
        return self.head.template()

    def vectorizes_on(self, device: torch.device) -> bool:
        """Whether encoders compute all tasks at once on a device, by vmap."""
        return False

    def split_tasks(self, inputs: Any) -> list[Any]:
        """Split an encoded side into pieces whose inner loops run one after the other."""
        return [inputs]

    @abstractmethod
    def encode(self, examples: ExampleSet) -> Any:
        """Return the part of the computation that does not depend on adapted parameters; it is
        differentiable.
        """

    def track(self, inputs: Any) -> None:
        """Update running statistics in training."""

    @abstractmethod
    def initial(self, support: Any, targets: Tensor, outputs: int) -> Params:
        """Return the adapted parameters before the first step.

        Args:
            support: the encoded support items.
            targets: of the support items, ``[B, s, …]``.
            outputs: number of outputs for each item.
        """

    @abstractmethod
    def forward(self, params: Params, inputs: Any, support: Any = None) -> Tensor:
        """Return the outputs for encoded items, ``[B, n, outputs]``.

        Args:
            params: the adapted parameters.
            inputs: encoded items of either side.
            support: for queries, the support items, whose statistics batch normalisation uses; None
                to use those of the items themselves.
        """


class HeadModel(Model):
    """Only the head is adapted, so the inner loop does not run the encoders."""

    embeds_once = True

    def encode(self, examples: ExampleSet) -> Tensor:
        return self.embedder.fuse(examples.encode(self.embedder.encode))

    def initial(self, support: Tensor, targets: Tensor, outputs: int) -> Params:
        return self.head.initial(support, targets, outputs)

    def forward(self, params: Params, inputs: Tensor, support: Any = None) -> Tensor:
        return self.head(params, inputs)


class FullModel(Model):
    """Encoders and head are adapted; the parameters of the encoders are the initialization.

    Args:
        embedder: its batch normalisations are replaced, see
            :mod:`mmml.methods.learned_optimizer.norm`.
        head: maps embeddings to outputs.
        first_order: if false, attention must be differentiable twice.
        vectorize: whether all tasks are computed at once or one after the other; None for a fixed
            rule: at once, unless there are convolutions on a CPU.
    """

    embeds_once = False

    def __init__(self, embedder: Embedder, head: Head, first_order: bool, vectorize: bool | None):
        super().__init__(embedder, head)
        self._one_by_one = [m for m, e in embedder.items() if not vectorizes(e)]
        if vectorize and self._one_by_one:
            raise UserError(
                f"method.vectorize=true: encoder.{self._one_by_one[0]} cannot compute all "
                "tasks at once; use auto"
            )
        with_task_norms(embedder)
        self.first_order, self._vectorize = first_order, vectorize

    @property
    def vectorize(self) -> bool:
        """Whether all tasks are computed at once."""
        return self.vectorizes_on(self.embedder.device)

    def vectorizes_on(self, device: torch.device) -> bool:
        """Whether all tasks would be computed at once on a device."""
        if self._vectorize is not None:
            return self._vectorize
        slow = LOOPED if device.type == "cpu" else ()
        return not self._one_by_one and not any(
            isinstance(m, slow) for m in self.embedder.modules()
        )

    def split_tasks(self, inputs: ExampleSet) -> list[ExampleSet]:
        """Return one piece for each task unless tasks are vectorised: nothing is stacked, and a
        task fits into the caches.
        """
        return (
            [inputs] if self.vectorize else [inputs.episode(b) for b in range(len(inputs.labels))]
        )

    def get_extra_state(self) -> dict[str, bool]:
        """Return the choice of ``vectorize`` for checkpoints, so that a resumed run computes as
        before.
        """
        return {"vectorize": self.vectorize}

    def set_extra_state(self, state: dict[str, bool]) -> None:
        """Restore the choice of ``vectorize`` of a checkpoint."""
        if self._vectorize is None:
            self._vectorize = state["vectorize"]

    def _fast(self) -> dict[str, nn.Parameter]:
        return {
            f"encoders.{n}": p
            for n, p in self.embedder.encoders.named_parameters()
            if p.requires_grad
        }

    def template(self) -> Params:
        return {n: p.detach() for n, p in self._fast().items()} | self.head.template()

    def encode(self, examples: ExampleSet) -> ExampleSet:
        return examples.encode(self.embedder.prepare)

    @torch.no_grad()
    def track(self, inputs: ExampleSet) -> None:
        for modality, encoder in self.embedder.items():
            if modality in inputs.values and has_task_norms(encoder):
                # One task is enough, over many steps.
                encoder(inputs.values[modality][0].flatten(0, 1))

    def initial(self, support: ExampleSet, targets: Tensor, outputs: int) -> Params:
        batch = len(targets)
        params = {n: p.expand(batch, *p.shape) for n, p in self._fast().items()}
        embedded = self._embed(params, support, None) if self.head.init == "prototype" else None
        return params | self.head.initial(embedded, targets, outputs)

    def forward(
        self, params: Params, inputs: ExampleSet, support: ExampleSet | None = None
    ) -> Tensor:
        return self.head(params, self._embed(params, inputs, support))

    def _embed(self, params: Params, inputs: ExampleSet, support: ExampleSet | None) -> Tensor:
        embeddings = {}
        for modality, encoder in self.embedder.items():
            if modality not in inputs.values:
                continue
            own = inputs.values[modality].flatten(1, 2)  # [B, n, …]
            batches, statistics = [own], Statistics.OWN
            if support is not None and has_task_norms(encoder):
                known = modality in support.values
                statistics = Statistics.FIRST if known else Statistics.RUNNING
                batches = [support.values[modality].flatten(1, 2), own] if known else [own]
            prefix = f"encoders.{modality}."
            mine = {n.removeprefix(prefix): p for n, p in params.items() if n.startswith(prefix)}
            with self._attention():
                embedded = per_task(encoder, mine, batches, statistics, self.vectorize)
            embeddings[modality] = unit(embedded) if self.embedder.normalize else embedded
        with self._attention():
            return self.embedder.fuse(
                inputs.with_embeddings({m: e.flatten(0, 1) for m, e in embeddings.items()})
            )

    def _attention(self) -> AbstractContextManager[None]:
        """Return a context without fused attention if a second derivative or vmap is needed."""
        return (
            sdpa_kernel(SDPBackend.MATH)
            if not self.first_order or self.vectorize
            else nullcontext()
        )


def vectorizes(encoder: Encoder) -> bool:
    """Whether an encoder can run under vmap; recurrent layers cannot."""
    return encoder.vectorizes and not any(isinstance(m, nn.RNNBase) for m in encoder.modules())


def per_task(
    module: nn.Module,
    params: Params,
    batches: Sequence[Tensor],
    statistics: Statistics,
    vectorize: bool,
) -> Tensor:
    """Apply a module to the items of each task with the parameters of that task, batch after batch.

    Args:
        module: an encoder.
        params: the parameters of all tasks, ``[B, …]`` each.
        batches: ``[B, n, …]`` each; the output for the last one is returned, ``[B, n, width]``.
        statistics: for batch normalisations.
        vectorize: whether all tasks are computed at once or one after the other.
    """

    def one(own: Params, *parts: Tensor) -> Tensor:
        with inside_task(module, statistics):
            return [functional_call(module, own, (part,)) for part in parts][-1]

    if vectorize:
        return vmap(one, randomness="different")(without_padding(module, params), *batches)
    if len(batches[-1]) == 1:  # views instead of the copies of stack
        return one(
            {n: p.squeeze(0) for n, p in params.items()}, *(x.squeeze(0) for x in batches)
        ).unsqueeze(0)
    parts = {n: p.unbind(0) for n, p in params.items()}
    return torch.stack(
        [
            one({n: p[b] for n, p in parts.items()}, *(x[b] for x in batches))
            for b in range(len(batches[-1]))
        ]
    )


def without_padding(module: nn.Module, params: Params) -> Params:
    """Return the same parameters, but without a gradient for the padding row of embedding tables.
    (vmap respects ``padding_idx`` only in the first task.)
    """
    fixed = {}
    for name, layer in module.named_modules():
        if (
            isinstance(layer, nn.Embedding)
            and layer.padding_idx is not None
            and f"{name}.weight" in params
        ):
            weight = params[f"{name}.weight"]
            rows = torch.arange(weight.shape[1], device=weight.device) == layer.padding_idx
            fixed[f"{name}.weight"] = torch.where(rows.unsqueeze(-1), weight.detach(), weight)
    return params | fixed
