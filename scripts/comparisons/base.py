"""What a comparison with another library is, and numbers to make one of."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Both = tuple[Any, Any]


@dataclass(frozen=True)
class Check:
    """One thing that two programs compute.

    Attributes:
        what: it is.
        library: by whom else.
        package: that must be importable for it.
        tolerance: how far apart the two may be, in the units of the numbers.
        compute: numbers of the library, and of mmml, of one shape.
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
    """Decorator: the function is one of the checks."""

    def add(compute: Callable[[], Both]) -> Callable[[], Both]:
        CHECKS.append(
            Check(what, library, package or library.replace("-", "_"), tolerance, compute)
        )
        return compute

    return add


def numbers(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal, in float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
