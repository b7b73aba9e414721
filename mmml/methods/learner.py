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
"""Query examples → the task's predictions ``[B, q, …]``."""


class Role(StrEnum):
    """The role of a row in a table of results."""

    LEARNED = "learned"
    NO_SUPPORT = "no support"  # the learner, which is shown nothing of the task
    PERMUTED = "permuted targets"  # the learner, which is shown wrong pairs
    CONSTANT = "constant"  # the same answer to every query of a task
    UNTRAINED = "untrained"
    TUNED = "tuned"  # the learner's model, adapted by a rule that is not learned
    CHANCE = "chance"
    REFERENCE = "reference"  # people, and what is known without a model


class Trainable(nn.Module, ABC):
    """A model that the trainer trains, one batch per step.

    Class attributes:
        transductive: whether the queries of an episode may influence one another's
            predictions. Every learner must declare it; every table prints it.
        role: what its row of a table is there for.
        name: the method's name.
        variant: what results name after the method, as in ``metric/prototype``.
        is_small: whether its tensors are so small that one thread computes them as fast as several.
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
        """What tables call it."""
        return f"{self.name}/{self.variant}"

    def describe(self) -> dict[str, Any]:
        """Facts for ``run.json`` and the report besides its options, as plain values."""
        return {}

    def fit(self, samples: Samples | None) -> None:
        """Learn what is not learned by gradients from the training split, once, before training."""

    def cut(self, samples: Samples | None) -> list[str]:
        """A sentence for each modality with values that are truncated because they are too long."""
        return []

    def takes_bf16(self) -> bool:
        """Whether its encoders may compute in bf16 in training."""
        return True

    def takes_channels_last(self, device: torch.device) -> bool:
        """Whether its convolutions may be channels-last on a device; vmap over them cannot."""
        return True

    @abstractmethod
    def losses(self, batch: Any, progress: float) -> Iterator[Tensor]:
        """The losses of one training step, scalars that are minimised one after the other.

        Most learners have a single loss. Otherwise a step of the optimizer follows each loss,
        and the next loss is computed with the new parameters.

        Args:
            batch: what the step learns from.
            progress: the share of the training that is done, from 0 to 1.
        """


class Learner(Trainable):
    """Learns a task from a support set.

    Class attributes:
        embeds_once: whether the embedding of a sample does not depend on the task, so that every
            sample needs to be embedded once only.
        ranks: whether it can rank candidates of other modalities (:class:`mmml.tasks.Ranking`).
        descends: whether it adapts by descending the task's loss; tables show what is left
            of that on queries.
    """

    embeds_once: bool = True
    ranks: bool = True
    has_inner_loop: bool = False
    embedder: Embedder
    task: Task

    def can_play(self, shape: EpisodeShape) -> bool:
        """Whether it can play episodes of a shape."""
        return True

    def max_episodes(self, shape: EpisodeShape) -> int | None:
        """How many episodes of a shape should be adapted to at a time; None for as many as fit."""
        return None

    @abstractmethod
    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        """Learn from labelled examples, raw or encoded.

        Args:
            support: B support sets.
            task: another task than the learner's own, to be served by the same adaptation.
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
        """Refuse training mappings that leave an encoder without a gradient."""

    def check_shapes(self, shapes: Iterable[EpisodeShape]) -> None:
        """Refuse shapes of episodes that it cannot adapt to, before any is played."""

    def inductive(self) -> "Learner":
        """The same learner, but the queries of an episode do not influence one another."""
        return self

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """Distances of fused embeddings, ``[..., q, d], [..., s, d]`` → ``[..., q, s]``,
        to find the nearest.
        """
        return cosine(query, support)

    def losses(self, batch: Batch, progress: float) -> Iterator[Tensor]:
        yield self.loss(batch)

    def loss(self, batch: Batch) -> Tensor:
        """The meta-loss of some episodes, averaged over their mappings: a scalar to minimise."""
        raise NotImplementedError

    def trace(self, support: ExampleSet, query: ExampleSet) -> Tensor:
        """The loss on the queries of each episode after each step of adaptation,
        ``[steps + 1, B]``, if it descends.
        """
        raise NotImplementedError

    def controls(self, train: Samples | None) -> "list[list[Learner]]":
        """The controls, with the same parameters: validation chooses one of each list for
        the table of results.

        Args:
            train: samples of training; None if there are none.
        """
        return []
