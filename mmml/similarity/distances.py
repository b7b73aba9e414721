"""Distances between all queries and all support items:
``(query [..., q, d], support [..., s, d]) -> [..., q, s]``.

Smaller is nearer. They are computed in float32 or float64, also for embeddings of lower precision.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.registry import Registry

Distance = Callable[[Tensor, Tensor], Tensor]

distances = Registry("distance", "mmml.similarity", functions=True)


def of_parts(distance: Distance) -> Distance:
    """Decorator: the distance compares parts, such as patches or frames, which are concatenated in
    an embedding.
    """
    distance.of_parts = True  # type: ignore[attr-defined]
    return distance


def compares_parts(name: str, where: str) -> bool:
    """Whether the named distance compares parts; ``where`` is the option with its name."""
    return getattr(distances.get(name, where), "of_parts", False)


@distances.register("sqeuclidean")
def sqeuclidean(query: Tensor, support: Tensor) -> Tensor:
    """‖q − s‖², the distance of the published prototypical networks (Snell et al., 2017).

    Squares of differences below 1e-19 or above 1e19 underflow or overflow in float32: use another
    distance for such units. The gradient is exact; the second derivative is 0 instead of 2 where q
    = s.
    """
    return euclidean(query, support).square()


@distances.register("euclidean")
def euclidean(query: Tensor, support: Tensor) -> Tensor:
    """‖q − s‖; its gradient is set to zero where q = s, since the square root has none there.

    It is computed from differences. |q|² + |s|² − 2qs would lose distances below 2e-4 between unit
    vectors in float32. Embeddings are first divided by a power of two near their largest number,
    since float32 cannot represent squares of 1e-23 or 1e20.
    """
    query, support = at_least_float32(query), at_least_float32(support)
    scale = torch.maximum(power_of_two(query, (-2, -1)), power_of_two(support, (-2, -1)))
    return (
        torch.cdist(query / scale, support / scale, compute_mode="donot_use_mm_for_euclid_dist")
        * scale
    )


@distances.register("cosine")
def cosine(query: Tensor, support: Tensor) -> Tensor:
    """1 − cos(q, s), from 0 to 2."""
    query, support = at_least_float32(query), at_least_float32(support)
    return 1 - unit(query) @ unit(support).transpose(-1, -2)


def unit(x: Tensor) -> Tensor:
    """Scale vectors ``[..., d]`` to length 1, however small or large they are; zero stays zero."""
    return F.normalize(x / power_of_two(x, (-1,)), dim=-1)


def power_of_two(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """Return the largest power of two that is not above the largest absolute value along ``dims``,
    which are kept with size 1.

    Division by it is exact. It is 1 where all values are zero, and has no gradient.
    """
    largest = x.detach().abs().amax(dims, keepdim=True)
    return torch.where(largest > 0, torch.exp2(torch.floor(torch.log2(largest))), 1).to(x.dtype)


def at_least_float32(x: Tensor) -> Tensor:
    """Convert to float32; float64 stays as it is."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
