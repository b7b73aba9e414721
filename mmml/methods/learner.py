"""The one object that trainer, evaluation, prediction and the Python API use."""

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from mmml.encoders import Embedder
from mmml.episodes import Batch, Examples
from mmml.registry import Registry
from mmml.similarity.distances import cosine
from mmml.tasks import Task

methods = Registry("method", "mmml.methods")

Predictor = Callable[[Examples], Tensor]
"""Query examples → the task's predictions ``[B, q, …]``."""


class Learner(nn.Module, ABC):
    """Learns a task from a support set.

    Class attributes:
        transductive: whether the queries of an episode may influence one another's
            predictions. Every learner must declare it; every table prints it.
        baseline: whether it learned nothing.
        rule: what results name after the method, as in ``metric/prototype``.
        name: the method's name.
    """

    transductive: bool
    baseline: bool = False
    name: str
    rule: str
    embedder: Embedder
    task: Task

    @property
    def predictor_name(self) -> str:
        """What tables call this learner."""
        return f"{self.name}/{self.rule}"

    @abstractmethod
    def adapt(self, support: Examples, task: Task | None = None) -> Predictor:
        """Learn from labelled examples, raw or encoded.

        Args:
            support: B support sets.
            task: another task than the learner's own, to be served by the same adaptation.
        """

    def compare(self, query: Tensor, support: Tensor) -> Tensor:
        """How unlike fused embeddings are, ``[..., q, d], [..., s, d]`` → ``[..., q, s]``: to name the nearest."""
        return cosine(query, support)

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """The meta-loss of some episodes, averaged over their mappings: a scalar to descend."""
