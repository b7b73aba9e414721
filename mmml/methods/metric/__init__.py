"""``method=metric``: learn a space in which modalities can be compared."""

from mmml.methods.metric.learner import MetricLearner
from mmml.methods.metric.rules import Rule, rules

__all__ = ["MetricLearner", "Rule", "rules"]
