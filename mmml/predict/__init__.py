"""Prediction: adapt a finished learner, or a frozen encoder, to new classes and label new files."""

from mmml.predict.model import Adapted, Model, load, untrained

__all__ = ["Adapted", "Model", "load", "untrained"]
