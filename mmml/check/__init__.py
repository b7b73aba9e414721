"""``mmml-data check``: the content of a manifest, its problems, and how to fix them."""

from mmml.check.issue import Issue
from mmml.check.issues import Inspection, inspect

__all__ = ["Inspection", "Issue", "inspect"]
