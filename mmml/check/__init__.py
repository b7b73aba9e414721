"""``mmml-data check``: what a manifest holds, what is wrong with it, and how to fix it."""

from mmml.check.issue import Issue
from mmml.check.issues import Inspection, inspect

__all__ = ["Inspection", "Issue", "inspect"]
