"""``method/classifier=nearest``: the nearest support item."""

import torch
from torch import Tensor

from mmml.methods.metric.classifiers.base import classifiers
from mmml.similarity.distances import Distance


@classifiers.register("nearest")
def nearest_neighbour(
    distance: Distance, support: Tensor, labels: Tensor, query: Tensor, temperature: Tensor
) -> Tensor:
    """Return the log-softmax over the negative distance to the nearest support item of each class;
    tied items share the weight.

    The most probable class is that of the nearest neighbour (Cover and Hart, 1967).
    """
    logits = -distance(query, support) / temperature
    ways, label = int(labels.max()) + 1, labels.unsqueeze(-2).expand_as(logits)
    best = logits.new_full((*logits.shape[:-1], ways), -torch.inf).scatter_reduce(
        -1, label, logits, "amax"
    )
    is_best = logits == best.gather(-1, label)
    tied = torch.zeros_like(best).scatter_add(-1, label, is_best.to(best.dtype)).gather(-1, label)
    return (logits - best.logsumexp(-1, keepdim=True) - tied.log()).masked_fill(
        ~is_best, -torch.inf
    )
