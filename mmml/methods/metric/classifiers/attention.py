"""``method/classifier=attention``: all support items vote, weighted by their distances."""

from torch import Tensor

from mmml.methods.metric.classifiers.base import classifiers, side_by_side
from mmml.similarity.distances import Distance


@classifiers.register("attention")
@side_by_side
def attention(
    distance: Distance, support: Tensor, labels: Tensor, query: Tensor, temperature: Tensor
) -> Tensor:
    """Return the log-softmax over the negative distances to all support items (matching networks,
    Vinyals et al., 2016, equation 1).

    A class name in the support set is one more item beside the images, as in a key-value cache
    (Tip-Adapter, Zhang et al., 2022). With the cosine distance d = 1 − cos, the weight of an item
    is the affinity exp(−β·d) of that paper with β = 1 / temperature. There are two differences: the
    affinities are normalised over the support set, so that they are probabilities; and names are
    items, whereas Tip-Adapter adds their zero-shot logits (times 1 / α) to the votes.
    """
    return (-distance(query, support) / temperature).log_softmax(-1)
