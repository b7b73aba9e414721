"""``method/classifier=attention``: all support items, weighted by their distances."""

from torch import Tensor

from mmml.methods.metric.classifiers.base import classifiers, side_by_side
from mmml.similarity.distances import Distance


@classifiers.register("attention")
@side_by_side
def attention(
    distance: Distance, support: Tensor, labels: Tensor, query: Tensor, temperature: Tensor
) -> Tensor:
    """Softmax over the distances to all support items (matching networks, Vinyals et al.,
    2016, equation 1).

    A class name on the support side is a shot beside the images, as in a key-value cache
    (Tip-Adapter, Zhang et al., 2022). With the cosine distance d = 1 − cos, an item's weight is
    the affinity exp(−β·d) of that paper at β = 1 / temperature; but the affinities are
    normalised over the support set, so that they are probabilities, and the names stand among
    the keys, where Tip-Adapter adds their zero-shot logits (times 1 / α) to the votes.
    """
    return (-distance(query, support) / temperature).log_softmax(-1)
