"""Tasks: what must be learned from a few examples, and how it is scored. One file per task."""

from mmml.tasks.base import Metric, Task, tasks
from mmml.tasks.ranking import Ranking

__all__ = ["Metric", "Ranking", "Task", "tasks"]
