"""The base classes of problems and of their families."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from mmml.data.base import Samples
from mmml.methods.learned_optimizer.update_rules import Params
from mmml.registry import Registry

problems = Registry("problem", "mmml.methods.learned_optimizer.problems")


class Problems(ABC):
    """Base class: B functions to minimise, each with a starting point."""

    @abstractmethod
    def initial(self) -> Params:
        """Return the starting points, ``[B, …]`` by name."""

    @abstractmethod
    def losses(self, params: Params, step: int) -> Tensor:
        """Return the value of each function, ``[B]``; a stochastic one is evaluated on the data of
        this step.
        """

    def scaled(self, factors: Mapping[str, Tensor]) -> "Problems":
        """Return the same functions with scaled coordinates: ``g(θ) = f(c ∘ θ)``, starting from
        ``θ₀ / c`` (Lv et al., 2017).
        """
        return Scaled(self, factors)


class Scaled(Problems):
    """Problems with scaled coordinates.

    Args:
        problems: the problems to scale.
        factors: the factor c of each coordinate, by name.
    """

    def __init__(self, problems: Problems, factors: Mapping[str, Tensor]):
        self.problems, self.factors = problems, factors

    def initial(self) -> Params:
        return {name: p / self.factors[name] for name, p in self.problems.initial().items()}

    def losses(self, params: Params, step: int) -> Tensor:
        return self.problems.losses(
            {name: p * self.factors[name] for name, p in params.items()}, step
        )


class Family(ABC):
    """Base class: a source of problems. Problem i of a split depends only on the seed, the split
    and i.

    Class attributes:
        name: as in configs.
        modalities: of the dataset that the problems need; empty for problems of random numbers.
    """

    name: ClassVar[str]
    modalities: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def template(self) -> Params:
        """Return tensors with the shapes of the parameters of one problem, by name."""

    def check(self, samples: Samples, split: str) -> None:  # noqa: B027 (most have nothing to check)
        """Raise a ``UserError`` if a split has too few samples for a problem."""

    @abstractmethod
    def draw(
        self,
        numbers: Iterable[int],
        seed: int,
        split: str,
        samples: Samples | None,
        device: torch.device,
    ) -> Problems:
        """Return the problems with these numbers.

        Args:
            numbers: of the problems.
            seed: the seed of the run in training, else ``evaluation.seed``.
            split: ``train``, ``val`` or ``test``.
            samples: of that split; None for a family without modalities.
            device: where the problems are computed.
        """


def generator(
    seed: int, split: str, purpose: int, number: int, step: int = 0
) -> np.random.Generator:
    """Return the random number generator of one problem (and step)."""
    return np.random.Generator(
        np.random.Philox(key=[seed, zlib.crc32(split.encode())], counter=[0, purpose, step, number])
    )
