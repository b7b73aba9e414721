"""Heads: the layers that the learned optimizer adapts, one file for each form of answers."""

from mmml.methods.learned_optimizer.heads.base import Head, heads

__all__ = ["Head", "heads"]
