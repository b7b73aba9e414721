"""The head for labels: an output for each class of an episode."""

from typing import ClassVar

from torch import Tensor

from mmml.methods.learned_optimizer.heads.base import Head, heads
from mmml.similarity.losses import class_means


@heads.register("label")
class LabelHead(Head):
    """A row for each label.

    Labels have no meaning of their own, since classes are shuffled among them. With
    ``init=learned`` an episode with fewer classes than rows uses some of the rows, in training
    a random choice. There is no option of one row for all classes (Ye and Chao, 2022), because
    encoders would then have no gradient in the first step.

    Args:
        ways: classes of a training episode, at most.
    """

    per_label: ClassVar[bool] = True
    shows_support: ClassVar[bool] = True

    def __init__(self, width: int, init: str, scale: float, ways: int):
        super().__init__(width, init, scale, ways)

    def computed(self, embedded: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The negative squared distance to class means (Snell et al., 2017, equation 8)."""
        means = class_means(embedded, targets)
        return 2 * means, -means.square().sum(-1)
