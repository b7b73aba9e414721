"""From options to an update rule."""

from typing import Any

from mmml.methods.learned_optimizer.update_rules.base import UpdateRule, update_rules
from mmml.registry import refuse_unknown


def build_rule(name: str, options: dict[str, Any]) -> UpdateRule:
    """An update rule from a flat section of options, which may hold those of other rules too."""
    refuse_unknown(options, (update_rules,), "method")
    rule: UpdateRule = update_rules.build(
        name, update_rules.deal(name, options, "method.update_rule"), "method", "method.update_rule"
    )
    return rule


HAND_DESIGNED: dict[str, dict[str, float]] = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "rmsprop": {"decay": 0.99},
    "adam": {"beta1": 0.9, "beta2": 0.999},
}
"""The rules that are not learned, with the usual values of all options but the rate."""


def hand_designed(name: str, inner_lr: float) -> UpdateRule:
    """A rule that is not learned, at this rate: what a learned one is compared with."""
    rule: UpdateRule = update_rules.get(name, "method.update_rule")(inner_lr=inner_lr, **HAND_DESIGNED[name])
    return rule
