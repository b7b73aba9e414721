"""Tasks: they define targets, predictions and scores; one file each."""

from mmml.tasks.base import Metric, Task, tasks
from mmml.tasks.ranking import Ranking

__all__ = ["Metric", "Ranking", "Task", "tasks"]
