"""``distance=local``: compares the patches of images, independent of their position."""

from torch import Tensor

from mmml.similarity.chunks import between_parts, in_chunks
from mmml.similarity.distances import at_least_float32, distances, of_parts, unit

DESCRIPTOR = 64  # numbers per position: items are [positions × DESCRIPTOR]


@distances.register("local")
@of_parts
def local(query: Tensor, support: Tensor) -> Tensor:
    """1 − the mean cosine of each patch with the most similar patch of the other item, averaged
    over both directions; from 0 to 2.

    Li, Wang, Xu, Huo, Gao and Luo (2019), equation 2, with one neighbour; both directions as by
    Dubuisson and Jain (1994) for points. Items are concatenated descriptors of 64 numbers each (as
    from ``conv4_local``).
    """
    query, support = (unit(_patches(at_least_float32(x))) for x in (query, support))
    cells = query.shape[-2] * support.shape[-2]
    return in_chunks(_patch_distance, query.flatten(-2), support.flatten(-2), cells)


def _patches(items: Tensor) -> Tensor:
    """``[..., places × DESCRIPTOR]`` → ``[..., places, DESCRIPTOR]``."""
    return items.unflatten(-1, (-1, DESCRIPTOR))


def _patch_distance(query: Tensor, support: Tensor) -> Tensor:
    """Return the distance ``[B, q, s]`` of items whose descriptors have length 1,
    ``[B, q, places × DESCRIPTOR], [B, s, places × DESCRIPTOR]``.
    """
    q, s = _patches(query), _patches(support)
    cosines = between_parts(lambda a, b: a @ b.mT, q, s)  # [B, q, places, s, places]
    # max instead of amax, whose gradient is much slower because it handles ties
    nearest = cosines.max(4).values.mean(2), cosines.max(2).values.mean(3)
    return 1 - (nearest[0] + nearest[1]) / 2
