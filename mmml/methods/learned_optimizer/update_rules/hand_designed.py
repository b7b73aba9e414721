"""Hand-designed update rules, which are controls of learned ones."""

from mmml.methods.learned_optimizer.update_rules.base import UpdateRule, update_rules

HAND_DESIGNED: dict[str, dict[str, float]] = {
    "sgd": {},
    "momentum": {"momentum": 0.9},
    "nesterov": {"momentum": 0.9},
    "rmsprop": {"decay": 0.99},
    "adam": {"beta1": 0.9, "beta2": 0.999},
}
"""The usual values of all options except the learning rate."""


def hand_designed(name: str, inner_lr: float) -> UpdateRule:
    """Build a hand-designed update rule with its usual values and this learning rate."""
    rule: UpdateRule = update_rules.get(name, "method.update_rule")(
        inner_lr=inner_lr, **HAND_DESIGNED[name]
    )
    return rule
