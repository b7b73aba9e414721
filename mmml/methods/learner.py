"""Learners: trained by the trainer, and used by evaluation, prediction and the Python API."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor, nn

from mmml.data.base import Samples
from mmml.encoders import Embedder
from mmml.episodes import Batch, EpisodeShape, ExampleSet, Mapping
from mmml.registry import Registry
from mmml.similarity.distances import cosine
from mmml.tasks import Task

methods = Registry("method", "mmml.methods")

Predictor = Callable[[ExampleSet], Tensor]
"""A function from query examples to the task's predictions, ``[B, q, …]``."""


class Role(StrEnum):
    """The role of a row in a table of results."""

    LEARNED = "learned"
    NO_SUPPORT = "no support"  # the learner without information about the task
    PERMUTED = "permuted targets"  # the learner with wrong pairs
    CONSTANT = "constant"  # the same answer to every query of a task
    UNTRAINED = "untrained"
    TUNED = "tuned"  # the learner's model, adapted by a hand-designed rule
    CHANCE = "chance"
    REFERENCE = "reference"  # human agreement and priors


class Trainable(nn.Module, ABC):
    """Base class of models that the trainer trains, one batch per step.

    Class attributes:
        transductive: whether the queries of an episode may influence one another's predictions.
            Each learner must declare it; all tables show it.
        role: the role of its row in a table of results.
        name: of the method.
        variant: what results name after the method, as in ``metric/prototype``.
        is_small: whether its tensors are so small that one thread is as fast as several.
    """

    is_small: bool = False
    transductive: bool
    role: Role = Role.LEARNED
    name: str
    variant: str

    @property
    def baseline(self) -> bool:
        """Whether it is a control or a baseline."""
        return self.role is not Role.LEARNED

    @property
    def predictor_name(self) -> str:
        """Its name in tables."""
        return f"{self.name}/{self.variant}"

    def describe(self) -> dict[str, Any]:
        """Return facts for ``run.json`` and the report besides the options, as plain values."""
        return {}

    def fit(self, samples: Samples | None) -> None:
        """Fit to the training split, once before training, what gradients do not learn."""

    def cut(self, samples: Samples | None) -> list[str]:
        """Return a message for each modality with values that are too long and therefore
        truncated.
        """
        return []

    def takes_bf16(self) -> bool:
        """Whether its encoders may use bf16 in training."""
        return True

    def takes_channels_last(self, device: torch.device) -> bool:
        """Whether its convolutions may be channels-last on a device; under vmap they cannot."""
        return True

    @abstractmethod
    def losses(self, batch: Any, progress: float) -> Iterator[Tensor]:
        """Yield the losses of one training step, scalars that are minimised one after the other.

        Most learners have a single loss. If there are several, the optimizer takes a step after
        each one, and the next loss is computed with the new parameters.

        Args:
            batch: of the training step.
            progress: the share of the training that is done, from 0 to 1.
        """


class Learner(Trainable):
    """Base class of models that learn a task from a support set.

    Class attributes:
        embeds_once: whether embeddings do not depend on the task, so that each sample is embedded
            only once.
        ranks: whether it can rank candidates of other modalities (:class:`mmml.tasks.Ranking`).
        has_inner_loop: whether it adapts by minimising the task's loss; tables then show this loss
            on queries.
    """

    embeds_once: bool = True
    ranks: bool = True
    has_inner_loop: bool = False
    embedder: Embedder
    task: Task

    def can_play(self, shape: EpisodeShape) -> bool:
        """Whether it can be evaluated on episodes of a shape."""
        return True

    def max_episodes(self, shape: EpisodeShape) -> int | None:
        """Return how many episodes of a shape to adapt to at a time; None for as many as fit in
        memory.
        """
        return None

    @abstractmethod
    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        """Adapt to support sets, raw or encoded, and return a predictor for their queries.

        Args:
            support: B support sets.
            task: a task other than the learner's own; None for its own.
        """

    def fit(self, samples: Samples | None) -> None:
        if samples is not None:
            self.embedder.fit(samples)

    def cut(self, samples: Samples | None) -> list[str]:
        return (
            []
            if samples is None
            else self.embedder.cut({m: c.present for m, c in samples.columns.items()})
        )

    def check_training(self, mappings: Sequence[Mapping]) -> None:
        """Raise a ``UserError`` if training mappings leave an encoder without a gradient."""

    def check_mappings(self, mappings: Iterable[Mapping]) -> None:
        """Refuse mappings of validation and test that it cannot use."""

    def check_shapes(self, shapes: Iterable[EpisodeShape]) -> None:
        """Raise a ``UserError`` if the learner cannot adapt to episodes of these shapes."""

    def inductive(self) -> "Learner":
        """Return a learner with the same parameters in which queries do not influence one
        another.
        """
        return self

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """Return the distances of fused embeddings, ``[..., q, d], [..., s, d]`` → ``[..., q, s]``,
        for nearest neighbours.
        """
        return cosine(query, support)

    def losses(self, batch: Batch, progress: float) -> Iterator[Tensor]:
        yield self.loss(batch)

    def loss(self, batch: Batch) -> Tensor:
        """Return the meta-loss of some episodes, averaged over their mappings: a scalar."""
        raise NotImplementedError

    def trace(self, support: ExampleSet, query: ExampleSet) -> Tensor:
        """Return the loss on the queries of each episode after each inner step, ``[steps + 1, B]``;
        only with an inner loop.
        """
        raise NotImplementedError

    def controls(self, train: Samples | None) -> "list[list[Learner]]":
        """Return lists of controls with the same parameters; validation chooses among the controls
        of a list.

        Args:
            train: the training split; None if there is none.
        """
        return []
