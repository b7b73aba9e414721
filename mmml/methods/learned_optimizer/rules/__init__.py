"""Update rules: from gradients to steps. One file per rule."""

from mmml.methods.learned_optimizer.rules.base import Params, State, UpdateRule, detached, rules

__all__ = ["Params", "State", "UpdateRule", "detached", "rules"]
