"""The class of a comparison with another library, and random numbers for it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Both = tuple[Any, Any]


@dataclass(frozen=True)
class Check:
    """A computation by mmml and by another library.

    Attributes:
        what: name of the computation.
        library: name of the other library.
        package: the package to import for it.
        tolerance: largest difference that is accepted, in the units of the numbers.
        compute: returns the numbers of the library and of mmml, of the same shape.
    """

    what: str
    library: str
    package: str
    tolerance: float
    compute: Callable[[], Both]


CHECKS: list[Check] = []


def check(
    what: str, library: str, tolerance: float = 1e-9, package: str | None = None
) -> Callable[[Callable[[], Both]], Callable[[], Both]]:
    """Decorator: add the function to the checks."""

    def add(compute: Callable[[], Both]) -> Callable[[], Both]:
        CHECKS.append(
            Check(what, library, package or library.replace("-", "_"), tolerance, compute)
        )
        return compute

    return add


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Return standard normal numbers in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
