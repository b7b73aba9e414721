"""Evaluation: the panel of scores with intervals, independence, and what a report shows."""

from mmml.evaluation.panel import Cell, Panel

__all__ = ["Cell", "Panel"]
