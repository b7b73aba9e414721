"""Problems: functions to be minimised, where what is learned is optimisation itself. One file per family."""

from mmml.methods.learned_optimizer.problems.base import Family, Problems, problems

__all__ = ["Family", "Problems", "problems"]
