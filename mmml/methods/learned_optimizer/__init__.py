"""``method=learned_optimizer``: learn how to turn a support set into adapted parameters."""

from mmml.methods.learned_optimizer.learner import LearnedOptimizer

__all__ = ["LearnedOptimizer"]
