"""``method=learned_optimizer``: adapts parameters to a support set by gradient steps; the update
rule may be learned.
"""

from mmml.methods.learned_optimizer.learner import LearnedOptimizer

__all__ = ["LearnedOptimizer"]
