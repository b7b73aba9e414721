"""From options to an update rule."""

from typing import Any

from mmml.methods.learned_optimizer.rules.base import UpdateRule, rules
from mmml.registry import refuse_unknown


def build_rule(name: str, options: dict[str, Any]) -> UpdateRule:
    """An update rule from a flat section of options, which may hold those of other rules too."""
    refuse_unknown(options, (rules,), "method")
    rule: UpdateRule = rules.build(name, rules.deal(name, options, "method.rule"), "method", "method.rule")
    return rule
