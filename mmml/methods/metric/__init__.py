"""``method=metric``: learns an embedding space in which modalities can be compared."""

from mmml.methods.metric.classifiers import Classifier, classifiers
from mmml.methods.metric.learner import MetricLearner

__all__ = ["Classifier", "MetricLearner", "classifiers"]
