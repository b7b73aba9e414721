"""``method/classifier=lda``: linear discriminant analysis with a shrunken covariance."""

import torch
from torch import Tensor

from mmml.errors import require
from mmml.methods.metric.classifiers.base import classifiers, on_vectors, scaled, shared_evenly
from mmml.similarity.distances import Distance
from mmml.similarity.losses import class_means


@classifiers.register("lda")
@on_vectors
class LDA:
    """The posterior of classes that are normal with one covariance, shared evenly within a class.

    The covariance is ``(1 − γ) S + γ · tr(S) / d · I``, where S is the covariance within classes
    of n support items with d numbers each. By default γ = d / (n − 1 + d), the empirical Bayes
    estimate of Wang et al. (2024, equation 5; Kubokawa and Srivastava, 2008). All classes are
    equally likely. Where every class has one item, S is 0 and the spread of the class means stands
    in for it: the nearest mean wins.

    The distance only decides whether the length of embeddings matters, as for ``ridge``.
    ``temperature`` is not used, since the covariance gives the scale.

    Args:
        shrinkage: γ, above 0 and at most 1; None takes the default.
    """

    def __init__(self, shrinkage: float | None):
        require(
            shrinkage is None or 0 < shrinkage <= 1,
            "method.classifier.shrinkage",
            shrinkage,
            "null or a number above 0 and at most 1",
        )
        self.shrinkage = shrinkage

    def __call__(
        self,
        distance: Distance,
        support: Tensor,
        labels: Tensor,
        query: Tensor,
        temperature: Tensor,
    ) -> Tensor:
        support, query = scaled(distance, support, query)
        means = class_means(support, labels)
        centre = means.mean(-2, keepdim=True)
        within = support - means.gather(-2, labels.unsqueeze(-1).expand_as(support))
        n, d = support.shape[-2:]
        gamma = d / (n - 1 + d) if self.shrinkage is None else self.shrinkage
        variance = within.square().sum((-2, -1), keepdim=True) / (n * d)
        between = (means - centre).square().mean((-2, -1), keepdim=True)
        # Rounding alone leaves a spread of about 1e-7 of the numbers themselves.
        tiny = torch.finfo(support.dtype).eps ** 2 * support.square().mean((-2, -1), keepdim=True)
        variance = variance.where(variance > tiny, between).where(between > tiny, 1.0)
        floor = gamma * variance
        means, query = means - centre, query - centre
        directions = means
        if gamma < 1:
            # Σ⁻¹ = (I − Wᵀ (r I + W Wᵀ)⁻¹ W) / (γ v) with r = γ v n / (1 − γ) (Woodbury, 1950): a
            # matrix of n × n numbers, not d × d.
            eye = torch.eye(n, device=within.device)
            factor = torch.linalg.cholesky(within @ within.mT + floor * n / (1 - gamma) * eye)
            directions = means - torch.cholesky_solve(within @ means.mT, factor).mT @ within
        own = 0.5 * (means * directions).sum(-1).unsqueeze(-2)
        logits = (query @ directions.mT - own) / floor
        return shared_evenly(logits.log_softmax(-1), labels)
