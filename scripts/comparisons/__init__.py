"""The checks of ``scripts/check_against.py``: each computes the same numbers by a library and by
mmml.
"""

from comparisons import adaptation, scores, similarity  # they register the checks
from comparisons.base import CHECKS, Check

__all__ = ["CHECKS", "Check", "adaptation", "scores", "similarity"]
