"""Matching across modalities: which candidate, one of each class, belongs to the query?

The evaluator ``matching`` plays it; it is no choice of ``task=``.
"""

from mmml.tasks.base import Metric
from mmml.tasks.classification import Classification

MATCHING = Metric("matching accuracy", share=True)


class Matching(Classification):
    """Predictions are log-probabilities of the candidates, ``[B, q, ways]``."""

    name = "matching"
    metrics = (MATCHING,)
