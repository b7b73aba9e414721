"""``task=generation``: texts are written about queries."""

from mmml.tasks.generation.task import Generation

__all__ = ["Generation"]
