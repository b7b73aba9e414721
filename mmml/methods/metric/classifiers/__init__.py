"""Classifiers: they predict the class of a query from the support set; one file each."""

from mmml.methods.metric.classifiers.base import (
    Classifier,
    classifiers,
    fuses,
    is_anchored,
    needs_anchors,
    needs_vectors,
)

__all__ = ["Classifier", "classifiers", "fuses", "is_anchored", "needs_anchors", "needs_vectors"]
