"""Distances from every query to every support item:
``(query [..., q, d], support [..., s, d]) -> [..., q, s]``.

Smaller is nearer. Computed in float32 at least, whatever the precision of the embeddings.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.registry import Registry

Distance = Callable[[Tensor, Tensor], Tensor]

distances = Registry("distance", "mmml.similarity", functions=True)


def of_parts(distance: Distance) -> Distance:
    """Decorator: the distance compares parts, such as patches or frames, which an embedding
    holds side by side.
    """
    distance.of_parts = True  # type: ignore[attr-defined]
    return distance


def compares_parts(name: str, where: str) -> bool:
    """Whether the distance of that name compares parts; ``where`` is the option that named it."""
    return getattr(distances.get(name, where), "of_parts", False)


@distances.register("sqeuclidean")
def sqeuclidean(query: Tensor, support: Tensor) -> Tensor:
    """‖q − s‖², the distance of the published prototypical networks (Snell et al., 2017).

    Float32 holds no squares of differences below 1e-19 or above 1e19: use another distance for such
    units. Its gradient is right everywhere; its second derivative is 0, and not 2, where q = s.
    """
    return euclidean(query, support).square()


@distances.register("euclidean")
def euclidean(query: Tensor, support: Tensor) -> Tensor:
    """‖q − s‖, with gradient zero where q = s (the root has none there).

    By differences, and not as |q|² + |s|² − 2qs, which in float32 loses what lies nearer than 2e-4
    on unit vectors. Everything is first divided by about the largest number, since float32 holds
    no squares of 1e-23 or 1e20.
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
    """Vectors ``[..., d]`` at length 1, whatever their units; zero stays zero."""
    return F.normalize(x / power_of_two(x, (-1,)), dim=-1)


def power_of_two(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    """The power of two at or below the largest absolute value along some dimensions,
    which stay with size 1.

    Division by it is exact. 1 where all is zero; has no gradient.
    """
    largest = x.detach().abs().amax(dims, keepdim=True)
    return torch.where(largest > 0, torch.exp2(torch.floor(torch.log2(largest))), 1).to(x.dtype)


def at_least_float32(x: Tensor) -> Tensor:
    """In float32, or float64 if it is so already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
