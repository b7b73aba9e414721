"""Problems: functions to minimise, used instead of episodes; one file for each family."""

from mmml.methods.learned_optimizer.problems.base import Family, Problems, problems
from mmml.methods.learned_optimizer.problems.solver import Solver, build_solver

__all__ = ["Family", "Problems", "Solver", "build_solver", "problems"]
