"""Methods: how a support set becomes predictions for queries."""

from mmml.methods.learner import Learner, Predictor, Role, Trainee, methods

__all__ = ["Learner", "Predictor", "Role", "Trainee", "methods"]
