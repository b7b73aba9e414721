"""What the first step of an inner loop moves: all that is said to adapt, and nothing
whose gradient is zero.
"""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import mmml
from mmml.config import check_config
from mmml.config.compose import compose_plain
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather
from mmml.methods.learned_optimizer.update_rules.hand_designed import HAND_DESIGNED, hand_designed
from mmml.run import build_learner
from tests.conftest import MLP
from tests.methods.learned_optimizer.making import (
    CONV,
    GENTLE,
    IMAGES,
    ONE_EACH,
    RULES,
    episodes,
    make,
)

PRESETS = sorted(
    p.stem for p in (Path(mmml.__file__).parent.parent / "conf/method/algorithm").glob("*.yaml")
)
SMALL = [
    "encoder.width=16",
    "encoder.image.channels=8",
    "encoder.image.size=16",
    "encoder.text.channels=16",
]
SMALL += ["encoder.text.max_length=16", "trainer.device=cpu"]
BOTH = Mapping.parse("image+text:image")
NONE = 1e-12  # of a gradient in float64 that is zero but for rounding


def built(*overrides):
    """A learner as a user composes it, with small encoders."""
    values = compose_plain(["method=learned_optimizer", *overrides])
    torch.manual_seed(0)
    return build_learner(check_config(values), ["image", "text"])[0].eval()


def first_step(learner, support):
    """The fast parameters before and after one step, and their gradients, those
    of a learner in float64.
    """
    with torch.no_grad():
        encoded = support.encode(
            learner.embedder.encode if learner.embeds_once else learner.embedder.prepare
        )
    gradients = gradients_of(copy.deepcopy(learner).double(), in_double(encoded))
    side = learner._encode(encoded)
    before = learner._start(side)
    (after, _), *_ = learner._descend(side, before, range(1))
    return before.params, after.params, gradients


def gradients_of(learner, encoded):
    side = learner._encode(encoded)
    at = {n: p.detach().requires_grad_() for n, p in learner._start(side).params.items()}
    loss = learner.task.loss(learner._answer(at, side.inputs, None), side.targets).sum()
    return dict(zip(at, torch.autograd.grad(loss, [*at.values()]), strict=True))


def in_double(encoded):
    """Numbers in float64; bytes of texts as they are."""
    columns = {
        m: replace(c, values=c.values.double()) if c.values.is_floating_point() else c
        for m, c in encoded.columns.items()
    }
    return replace(encoded, columns=columns)


def moved(before, after):
    return {n: (after[n] - p).abs().amax().item() for n, p in before.items()}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_tensor_that_is_said_to_adapt_moves_in_the_first_step(samples, preset):
    learner = built(f"method/algorithm={preset}", *SMALL)
    sampler = Sampler(samples, 0, "train")
    support, _ = gather(samples, sampler.draw([0], EpisodeShape(5, 1, 1)), [BOTH]).view(BOTH)
    before, after, gradients = first_step(learner, support)
    assert set(gradients) == set(before) and ("encoders" in " ".join(before)) == (
        learner.adapted == "all"
    )
    # None is exempt: every tensor has a gradient.
    for name, distance in moved(before, after).items():
        assert gradients[name].abs().max() > NONE, f"{name} has no gradient in the first step"
        assert distance > 0, (
            f"{name} has a gradient of {gradients[name].norm():.2g} and does not move"
        )


@pytest.mark.parametrize("ways", [2, 5])
@pytest.mark.parametrize("name", HAND_DESIGNED)
def test_rounding_moves_nothing_whose_gradient_is_zero(samples, name, ways):
    """From a head of zeros all classes are as likely, so that neither bias nor encoders
    have a gradient.

    In float32 the sums that cancel leave 1e-8, which Adam and RMSprop would make
    a step of full size.
    """
    for adapt, embedder in (("head", MLP), ("all", MLP), ("all", CONV)):
        learner = make(embedder, adapt=adapt, init="zero", update_rule="sgd", **GENTLE).eval()
        learner.optimizer = hand_designed(name, 0.1)
        support, _ = episodes(samples, shape=EpisodeShape(ways, 1, 1)).view(IMAGES)
        side = learner._encode(support)
        start = learner._start(side)
        (after, _), *_ = learner._descend(side, start, range(1))
        far = moved(start.params, after.params)
        assert far.pop("head.weight") > 1e-3
        assert max(far.values()) < 1e-7, (adapt, far)


@pytest.mark.parametrize("rule", [name for name in ONE_EACH if name not in HAND_DESIGNED])
def test_no_learned_rule_moves_what_has_no_gradient(samples, rule):
    learner = make(adapt="all", init="zero", **GENTLE | RULES[rule]).eval()
    for parameter in learner.optimizer.parameters():
        torch.nn.init.normal_(parameter)  # it would, if it were asked
    support, _ = episodes(samples).view(IMAGES)
    side = learner._encode(support)
    start = learner._start(side)
    (after, _), *_ = learner._descend(side, start, range(1))
    far = moved(start.params, after.params)
    assert far.pop("head.weight") > 0 and max(far.values()) < 1e-7


@pytest.mark.parametrize("name", HAND_DESIGNED)
def test_a_head_of_scores_that_begins_with_their_mean_keeps_its_bias(scored, name):
    """The mean has no gradient by squared error, though float32 cannot hold
    it to the last digit.
    """
    learner = make(task="regression", init="prototype", update_rule="sgd").eval()
    learner.optimizer = hand_designed(name, 0.1)
    side = learner._encode(episodes(scored).view(IMAGES)[0])
    start = learner._start(side)
    (after, _), *_ = learner._descend(side, start, range(1))
    assert moved(start.params, after.params)["head.bias"] < 1e-6
