"""Dynamic time warping."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.similarity.chunks import between_parts, in_chunks
from mmml.similarity.distances import at_least_float32, distances, euclidean, of_parts

FRAME = 40  # numbers per frame: items are [frames × FRAME], with NaN after the last frame


@distances.register("dtw")
@of_parts
def dtw(query: Tensor, support: Tensor) -> Tensor:
    """The mean euclidean distance of frames along the best alignment in time.

    Sakoe and Chiba (1978), symmetric form without slope constraint: a diagonal step counts twice,
    so that the weights of every path sum to n + m, by which the sum is divided. Items are sequences
    of frames of 40 numbers (as from ``raw_audio``), flattened, with NaN after their end.
    """
    query, support = (_trimmed(at_least_float32(x)) for x in (query, support))
    cells = (query.shape[-1] // FRAME) * (support.shape[-1] // FRAME)
    return in_chunks(_aligned, query, support, cells)


def _trimmed(x: Tensor) -> Tensor:
    """Remove the frames at the end that are NaN in all items."""
    frames = int(_lengths(x).max())
    return x[..., : frames * FRAME]


def _lengths(x: Tensor) -> Tensor:
    return (~x.unflatten(-1, (-1, FRAME))[..., 0].isnan()).sum(-1)


def _aligned(query: Tensor, support: Tensor) -> Tensor:
    """``[B, q, n × FRAME], [B, s, m × FRAME]`` → ``[B, q, s]``."""
    q, s = (x.nan_to_num(0).unflatten(-1, (-1, FRAME)) for x in (query, support))
    costs = between_parts(euclidean, q, s)
    pairs = (len(q), q.shape[1], s.shape[1])
    n = _lengths(query).unsqueeze(2).expand(pairs).flatten()
    m = _lengths(support).unsqueeze(1).expand(pairs).flatten()
    sums = _accumulated(costs.transpose(2, 3).flatten(0, 2))
    # Cells after an item's last frame are never on the path to its last cell.
    return (sums[n + m - 2, torch.arange(len(n), device=n.device), n - 1] / (n + m)).view(pairs)


def _accumulated(costs: Tensor) -> Tensor:
    """Return the smallest cost of a path to each cell of ``[P, n, m]``, by anti-diagonals: cell (i,
    j) is ``[i + j, P, i]``.
    """
    pairs, n, m = costs.shape
    # Add n columns and cut the rows one number shorter: row i moves right by i, and columns
    # are anti-diagonals.
    slanted = F.pad(costs, (0, n), value=torch.inf).flatten(1)[:, : n * (m + n - 1)]
    diagonals = slanted.view(pairs, n, m + n - 1).permute(2, 0, 1).contiguous()
    nothing = costs.new_full((pairs, n), torch.inf)
    sums = [2 * diagonals[0]]
    for k in range(1, m + n - 1):
        last, before = sums[-1], sums[-2] if k > 1 else nothing
        straight = torch.minimum(last, F.pad(last, (1, -1), value=torch.inf)) + diagonals[k]
        sums.append(
            torch.minimum(straight, F.pad(before, (1, -1), value=torch.inf) + 2 * diagonals[k])
        )
    return torch.stack(sums)
