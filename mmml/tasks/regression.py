"""``task=regression``: which number belongs to a query? An episode's classes are the quantities."""

from typing import ClassVar

from torch import Tensor

from mmml.episodes import Examples
from mmml.tasks.base import Metric, Task, tasks

MAE = Metric("MAE", percent=False, higher_is_better=False)
SQUARED_ERROR = Metric("squared error", percent=False, higher_is_better=False)


@tasks.register("regression")
class Regression(Task):
    """Predictions are scores, ``[B, q]``: the support scores, averaged by weight.

    A sample's label says which quantity its score measures, so an episode has one way.
    """

    name = "regression"
    metrics = (MAE,)
    loss_metric = SQUARED_ERROR
    min_ways: ClassVar[int] = 1
    needs_scores: ClassVar[bool] = True

    def targets(self, examples: Examples) -> Tensor:
        assert examples.targets is not None
        return examples.targets

    def combine(self, log_weights: Tensor, support_targets: Tensor) -> Tensor:
        """Their weighted mean (Nadaraya 1964; Watson 1964)."""
        if log_weights.shape[-1] != support_targets.shape[-1]:
            raise ValueError(f"{log_weights.shape[-1]} weights for {support_targets.shape[-1]} scores")
        return (log_weights.exp() * support_targets.unsqueeze(-2)).sum(-1)

    def outputs(self, support: Examples) -> int:
        return 1

    def read(self, outputs: Tensor) -> Tensor:
        return outputs.squeeze(-1)

    def first_head(self, embedded: Tensor, targets: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """The mean of the support scores, whatever the query."""
        mean = targets.to(embedded.dtype).mean(-1, keepdim=True)
        return embedded.new_zeros(len(embedded), 1, embedded.shape[-1]), mean / scale

    def loss(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Squared error."""
        return (predictions - targets).square().mean(-1)

    def scores(self, predictions: Tensor, targets: Tensor) -> dict[Metric, Tensor]:
        """The distance of every prediction from the truth."""
        if predictions.shape != targets.shape:
            raise ValueError(f"predictions {list(predictions.shape)} for targets {list(targets.shape)}")
        return {MAE: (predictions - targets).abs()}

    def chance(self, ways: int) -> dict[Metric, float]:
        """Unknown without the scores."""
        return {}
