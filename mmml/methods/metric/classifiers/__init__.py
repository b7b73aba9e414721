"""Classifiers: they predict the class of a query from the support set; one file each."""

from mmml.methods.metric.classifiers.base import (
    Anchored,
    Classifier,
    classifiers,
    fuses,
    needs_vectors,
)

__all__ = ["Anchored", "Classifier", "classifiers", "fuses", "needs_vectors"]
