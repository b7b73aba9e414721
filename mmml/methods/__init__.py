"""Methods: they learn from a support set and predict the targets of queries."""

from mmml.methods.learner import Learner, Predictor, Role, Trainable, methods

__all__ = ["Learner", "Predictor", "Role", "Trainable", "methods"]
