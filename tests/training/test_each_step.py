"""What one step of training does, and what is written first; literally, where a step
can be done by hand.
"""

import pytest
import torch
from torch import nn

from mmml.training.checkpoint import load_checkpoint
from mmml.training.loop import schedule, step_seed
from mmml.training.signals import Stop
from tests.conftest import MLP, SMALL
from tests.training.test_loop import make_trainer, same, state


def with_draws(trainer):
    """A list that each step adds a random number to, drawn where its batch is asked for."""
    batches, drawn = trainer.parts.batches, []
    trainer.parts.batches = lambda step: (drawn.append(torch.rand(1).item()), batches(step))[1]
    return drawn


def test_each_step_has_random_numbers_of_its_own(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path / "a", MLP)
    drawn = with_draws(trainer)
    trainer.fit(Stop())
    assert len(drawn) == len(set(drawn)) == 6
    again, other = (make_trainer(samples, tmp_path / name, MLP) for name in "bc")
    other.parts.seed = 1
    torch.manual_seed(999)  # whatever was drawn before
    drawn_again, drawn_other = with_draws(again), with_draws(other)
    again.fit(Stop())
    other.fit(Stop())
    assert drawn_again == drawn and not set(drawn_other) & set(drawn)


def test_a_resumed_run_draws_what_the_whole_one_would_have(samples, tmp_path):
    full = make_trainer(samples, tmp_path / "whole", MLP, validate_every=100)
    drawn = with_draws(full)
    full.fit(Stop())
    make_trainer(samples, tmp_path / "cut", MLP, steps=3).fit(Stop())
    resumed = make_trainer(samples, tmp_path / "cut", MLP)
    rest = with_draws(resumed)
    resumed.restore(load_checkpoint(resumed.run.last, "resume"))
    resumed.fit(Stop())
    assert rest == drawn[3:]


def test_a_resumed_run_goes_on_with_the_optimizer_the_time_and_the_best(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path, MLP)
    trainer.fit(Stop())
    resumed = make_trainer(samples, tmp_path, MLP, steps=8)
    resumed.restore(load_checkpoint(trainer.run.last, "resume"))
    assert (resumed.step, resumed.seconds, resumed.best) == (6, trainer.seconds, trainer.best)
    assert same(state(resumed), state(trainer))
    before, after = (t.optimizer.state_dict()["state"] for t in (trainer, resumed))
    assert before.keys() == after.keys() and all(same(before[k], after[k]) for k in before)
    resumed.fit(Stop())
    assert (
        resumed.seconds > trainer.seconds
        and resumed.run.read_metrics()[-2]["seconds"] >= trainer.seconds
    )


def test_every_step_trains_in_training_mode_also_after_a_validation(samples, tmp_path):
    trainer, calls = make_trainer(samples, tmp_path), []
    batches = trainer.parts.batches
    modules = [m for m in trainer.learner.modules() if isinstance(m, nn.BatchNorm2d | nn.Dropout)]

    def batch(step):
        calls.append({m.training for m in [trainer.learner, *modules]})
        return batches(step)

    trainer.parts.batches, trainer.parts.validate = (
        batch,
        lambda: (trainer.learner.eval(), {"val/mean": 0.5})[1],
    )
    trainer.learner.eval()
    trainer.fit(Stop())
    assert modules and calls == [{True}] * 6


def test_the_gradient_is_clipped_as_a_whole(samples, tmp_path):
    """The first moment of Adam is a tenth of the first gradient."""
    trainer = make_trainer(samples, tmp_path, MLP, grad_clip_norm=1e-3, steps=1)
    trainer.fit(Stop())
    moments = [s["exp_avg"] for s in trainer.optimizer.state_dict()["state"].values()]
    assert torch.cat([m.flatten() for m in moments]).norm().item() == pytest.approx(1e-4, rel=1e-3)


def test_a_gradient_that_is_short_is_not_made_longer(samples, tmp_path):
    lengths = []
    for clip in (1e3, 1e6):
        trainer = make_trainer(samples, tmp_path / str(clip), MLP, grad_clip_norm=clip, steps=1)
        trainer.fit(Stop())
        moments = [s["exp_avg"] for s in trainer.optimizer.state_dict()["state"].values()]
        lengths.append(torch.cat([m.flatten() for m in moments]).norm().item())
    assert lengths[0] == lengths[1] > 0


@pytest.mark.parametrize("encoder", [MLP, SMALL], ids=["mlp", "dropout"])
def test_three_steps_are_three_steps_of_adamw_by_hand(samples, tmp_path, encoder):
    trainer = make_trainer(samples, tmp_path / "a", encoder, precision="fp32", grad_clip_norm=0.5)
    hand = make_trainer(samples, tmp_path / "b", encoder, precision="fp32")
    learner = hand.learner
    decays = (
        [p for p in learner.parameters() if p.ndim > 1],
        [p for p in learner.parameters() if p.ndim < 2],
    )
    groups = [{"params": p, "weight_decay": d} for p, d in zip(decays, (0.1, 0.0), strict=True)]
    optimizer = torch.optim.AdamW(groups)
    for step in range(3):
        trainer._train_step()
        trainer.step += 1
        torch.manual_seed(step_seed(0, step))
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * schedule(step, 2, 6)
        optimizer.zero_grad()
        learner.loss(hand.parts.batches(step)).backward()
        nn.utils.clip_grad_norm_(learner.parameters(), 0.5)
        optimizer.step()
    assert same(state(trainer), state(hand))


def test_the_loss_of_a_step_of_several_descents_is_their_mean_and_each_is_followed_by_one(
    samples, tmp_path
):
    trainer = make_trainer(samples, tmp_path, MLP)
    weight = next(p for p in trainer.learner.parameters() if p.requires_grad)
    before, met = [], []

    def losses(batch, progress):
        for factor in (1.0, 3.0, 8.0):
            before.append(weight.detach().clone())
            yield (
                factor
                + 0 * sum(p.sum() for p in trainer.learner.parameters())
                + weight.sum()
                - weight.sum().detach()
            )
        met.append(progress)

    trainer.learner.losses, trainer.step = losses, 3
    assert trainer._train_step() == pytest.approx(4.0)
    assert (
        met == [0.5]
        and not torch.equal(before[0], before[1])
        and not torch.equal(before[1], before[2])
    )


def test_the_last_checkpoint_is_written_before_the_best(samples, tmp_path):
    """Killed between the two, a run goes on from its last checkpoint, which knows the best."""
    trainer = make_trainer(samples, tmp_path, MLP, scores=[0.7], checkpoint_every=100)
    trainer.run.best.mkdir(parents=True)  # so that it cannot be written
    with pytest.raises(OSError, match="best.ckpt"):
        trainer.fit(Stop())
    last = load_checkpoint(trainer.run.last, "resume")
    assert (last.step, last.best["step"], last.best["value"]) == (2, 2, 0.7)
    trainer.run.best.rmdir()
    resumed = make_trainer(samples, tmp_path, MLP, scores=[0.1, 0.2], checkpoint_every=100)
    resumed.restore(last)
    resumed.fit(Stop())
    best = load_checkpoint(resumed.run.best, "x")
    assert best.step == 2 and same(best.learner, last.learner)


def test_of_equal_scores_the_first_is_the_best(samples, tmp_path):
    for higher in (True, False):
        trainer = make_trainer(
            samples, tmp_path / str(higher), MLP, scores=[0.5, 0.5, 0.5], higher=higher
        )
        trainer.fit(Stop())
        assert trainer.best["step"] == load_checkpoint(trainer.run.best, "x").step == 2


def test_the_last_step_is_validated_and_saved_whatever_the_intervals(samples, tmp_path):
    trainer = make_trainer(
        samples, tmp_path, MLP, steps=3, validate_every=2, checkpoint_every=2, scores=[0.1, 0.9]
    )
    trainer.fit(Stop())
    assert trainer.best["step"] == load_checkpoint(trainer.run.last, "x").step == 3
