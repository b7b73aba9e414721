"""Heads: what the learned optimizer adapts for each form of answers. One file per form."""

from mmml.methods.learned_optimizer.heads.base import Head, heads

__all__ = ["Head", "heads"]
