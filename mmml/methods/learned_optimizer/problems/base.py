"""What a family of problems is."""

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
    """B functions to be minimised, each with a start."""

    @abstractmethod
    def initial(self) -> Params:
        """Where each search starts: ``[B, …]`` by name."""

    @abstractmethod
    def losses(self, params: Params, step: int) -> Tensor:
        """The value of each function, ``[B]``; of a stochastic one, on the data of this step."""

    def scaled(self, factors: Mapping[str, Tensor]) -> "Problems":
        """The same functions of other coordinates: ``g(θ) = f(c ∘ θ)`` with start ``θ₀ / c``
        (Lv et al., 2017).
        """
        return Scaled(self, factors)


class Scaled(Problems):
    """Problems whose coordinates are measured in other units.

    Args:
        problems: that are scaled.
        factors: c of each coordinate, by name.
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
    """A source of problems; number i of a split is a pure function of the seed, the split and i.

    Class attributes:
        name: as in configs.
        modalities: of the dataset that it needs; none for problems made of random numbers.
    """

    name: ClassVar[str]
    modalities: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def template(self) -> Params:
        """What the parameters of one problem look like, by name."""

    def check(self, samples: Samples, split: str) -> None:  # noqa: B027 (most have nothing to check)
        """Refuse a split that cannot fill a problem."""

    @abstractmethod
    def draw(
        self,
        numbers: Iterable[int],
        seed: int,
        split: str,
        samples: Samples | None,
        device: torch.device,
    ) -> Problems:
        """The problems of these numbers.

        Args:
            numbers: which.
            seed: of the run for training, ``evaluation.seed`` for the rest.
            split: ``train``, ``val`` or ``test``.
            samples: of that split; None for a family without modalities.
            device: where they are computed.
        """


def generator(
    seed: int, split: str, purpose: int, number: int, step: int = 0
) -> np.random.Generator:
    """Random numbers of one problem (and step)."""
    return np.random.Generator(
        np.random.Philox(key=[seed, zlib.crc32(split.encode())], counter=[0, purpose, step, number])
    )
