"""Update rules from options, and those that learned ones are compared with."""

from collections.abc import Mapping
from typing import Any

from mmml.methods.learned_optimizer.update_rules.base import UpdateRule, update_rules


def build_rule(section: Mapping[str, Any]) -> UpdateRule:
    """The update rule that the config section ``method.update_rule`` describes."""
    rule: UpdateRule = update_rules.build_section(section, "method.update_rule")
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
