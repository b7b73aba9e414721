"""Classifiers: they predict the class of a query from the support set; one file each."""

from mmml.methods.metric.classifiers.base import Classifier, classifiers, fuses, needs_vectors

__all__ = ["Classifier", "classifiers", "fuses", "needs_vectors"]
