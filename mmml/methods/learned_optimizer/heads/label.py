"""The head for labels: one output for each class of an episode."""

from typing import ClassVar

from torch import Tensor

from mmml.methods.learned_optimizer.heads.base import Head, heads
from mmml.similarity.losses import class_means


@heads.register("label")
class LabelHead(Head):
    """A head with one row for each label.

    Labels have no fixed meaning, since classes are shuffled in each episode. With ``init=learned``,
    an episode with fewer classes than rows uses only some rows; in training they are chosen at
    random. One row for all classes (Ye and Chao, 2022) is not available, since encoders would have
    no gradient in the first step.

    Args:
        ways: maximum number of classes of a training episode.
    """

    per_label: ClassVar[bool] = True
    shows_support: ClassVar[bool] = True

    def __init__(self, width: int, init: str, scale: float, ways: int):
        super().__init__(width, init, scale, ways)

    def computed(self, embedded: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the head of the negative squared distances to class means (Snell et al., 2017,
        equation 8).
        """
        means = class_means(embedded, targets)
        return 2 * means, -means.square().sum(-1)
