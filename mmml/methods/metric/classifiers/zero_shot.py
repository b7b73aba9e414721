"""``method/classifier=zero_shot``: the names of the classes alone, without their examples."""

from torch import Tensor

from mmml.methods.metric.classifiers.base import Anchored, by_anchors, classifiers, shared_evenly
from mmml.similarity.distances import Distance


@classifiers.register("zero_shot")
class ZeroShot(Anchored):
    """Softmax over the distances to the anchors of the classes (Radford et al., 2021, section 3.1),
    shared evenly within a class.
    """

    def __call__(
        self,
        distance: Distance,
        support: Tensor,
        labels: Tensor,
        query: Tensor,
        temperature: Tensor,
        anchors: Tensor,
    ) -> Tensor:
        return shared_evenly(by_anchors(distance, query, anchors, temperature), labels)
