"""``method/classifier=prototype``: distances to class means."""

from torch import Tensor

from mmml.methods.metric.classifiers.base import classifiers, on_vectors, shared_evenly
from mmml.similarity.distances import Distance
from mmml.similarity.losses import class_means


@classifiers.register("prototype")
@on_vectors
def prototype(
    distance: Distance, support: Tensor, labels: Tensor, query: Tensor, temperature: Tensor
) -> Tensor:
    """Return the log-softmax over the negative distances to class means (Snell, Swersky and Zemel,
    2017), divided evenly within a class.
    """
    by_class = (-distance(query, class_means(support, labels)) / temperature).log_softmax(-1)
    return shared_evenly(by_class, labels)
