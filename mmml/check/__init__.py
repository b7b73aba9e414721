"""``mmml-data check``: what a manifest holds, what is wrong with it, and how to fix it."""

from mmml.check.finding import Finding
from mmml.check.findings import Findings, inspect

__all__ = ["Finding", "Findings", "inspect"]
