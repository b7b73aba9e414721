"""Problems: functions to be minimised in place of episodes. One file per family."""

from mmml.methods.learned_optimizer.problems.base import Family, Problems, problems
from mmml.methods.learned_optimizer.problems.solver import Solver, build_solver

__all__ = ["Family", "Problems", "Solver", "build_solver", "problems"]
