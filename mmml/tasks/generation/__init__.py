"""``task=generation``: write a text about each query."""

from mmml.tasks.generation.task import Generation

__all__ = ["Generation"]
