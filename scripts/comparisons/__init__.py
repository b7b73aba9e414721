"""What ``scripts/check_against.py`` computes twice: each check gives what a library has,
and what mmml has.
"""

from comparisons import adaptation, scores, similarity  # which fill the list
from comparisons.base import CHECKS, Check

__all__ = ["CHECKS", "Check", "adaptation", "scores", "similarity"]
