"""Matching across modalities: which of the candidates, one of each class, belongs to what is shown?

Played by the evaluation (``evaluation.matching``); not to be chosen as ``task=``.
"""

from mmml.tasks.base import Metric
from mmml.tasks.classification import Classification

MATCHING = Metric("matching accuracy", share=True)


class Matching(Classification):
    """Predictions are log-probabilities of the candidates, ``[B, q, ways]``."""

    name = "matching"
    metrics = (MATCHING,)
