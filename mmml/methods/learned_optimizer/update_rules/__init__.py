"""Update rules: they turn gradients into steps; one file each."""

from mmml.methods.learned_optimizer.update_rules.base import (
    Params,
    State,
    UpdateRule,
    detached,
    update_rules,
)

__all__ = ["Params", "State", "UpdateRule", "detached", "update_rules"]
