"""Matching across modalities: choose the candidate that belongs to a query, with one candidate of
each class.

Used by the evaluator ``matching``; not available as ``task=``.
"""

from mmml.tasks.base import Metric
from mmml.tasks.classification import Classification

MATCHING = Metric("matching accuracy", share=True)


class Matching(Classification):
    """Predictions are log-probabilities of the candidates, ``[B, q, ways]``."""

    name = "matching"
    metrics = (MATCHING,)
