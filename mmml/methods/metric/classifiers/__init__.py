"""Classifiers: from a support set to the class of a query. One file per classifier."""

from mmml.methods.metric.classifiers.base import Classifier, classifiers, fuses, needs_vectors

__all__ = ["Classifier", "classifiers", "fuses", "needs_vectors"]
