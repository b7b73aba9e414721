"""Methods: how a support set becomes predictions for queries."""

from mmml.methods.learner import Learner, Predictor, Role, Trainable, methods

__all__ = ["Learner", "Predictor", "Role", "Trainable", "methods"]
