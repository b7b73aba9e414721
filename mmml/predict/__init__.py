"""Prediction: adapt a trained learner, or a frozen encoder, to new classes and label new files."""

from mmml.predict.model import Adapted, Model, Prediction, load

__all__ = ["Adapted", "Model", "Prediction", "load"]
