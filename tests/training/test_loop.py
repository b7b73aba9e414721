import json
import math

import pytest
import torch

from mmml.config.schema import TrainerConfig
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather
from mmml.errors import TrainingError, UserError
from mmml.run_directory import RunDirectory
from mmml.training import loop
from mmml.training.checkpoint import load_checkpoint
from mmml.training.loop import Trainer, TrainerInputs, build_optimizer, schedule, step_seed
from mmml.training.numerics import choose_numerics
from mmml.training.signals import Interrupted, Stop
from mmml.world import SINGLE_PROCESS, World
from tests.conftest import MLP, SMALL, make_learner

OPTIONS = {
    "steps": 6,
    "meta_batch_size": 1,
    "lr": 1e-2,
    "weight_decay": 0.1,
    "warmup": 2,
    "grad_clip_norm": 1.0,
    "validate_every": 2,
    "checkpoint_every": 3,
    "monitor": "val/mean",
    "device": "cpu",
    "precision": "auto",
    "channels_last": "auto",
}

CONFIG = {"trainer": {"monitor": "val/mean"}}
BEST = {"monitor": "val/mean", "higher_is_better": True, "measured": "these"}


def make_trainer(
    samples, folder, encoder=SMALL, scores=None, higher=True, world=SINGLE_PROCESS, **changes
):
    folder.mkdir(exist_ok=True)
    learner, options = make_learner(encoder), TrainerConfig(**(OPTIONS | changes))
    numerics = choose_numerics(learner, options)
    numerics.move(learner)
    sampler = Sampler(samples, 0, "train")
    mappings = [Mapping.parse("image:image"), Mapping.parse("text:image")]

    def episodes(step):
        return gather(samples, sampler.draw([step], EpisodeShape(4, 1, 2)), mappings)

    values = iter(scores or [])
    parts = TrainerInputs(
        episodes, lambda: {"val/mean": next(values, 0.5)}, higher, "these", CONFIG, ["d/a"], 0
    )
    return Trainer(learner, parts, options, numerics, RunDirectory(folder, world))


def state(trainer):
    return {k: v.clone() for k, v in trainer.learner.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_resumed_training_is_bit_identical(samples, tmp_path):
    full = make_trainer(samples, tmp_path / "whole")
    full.fit(Stop())
    first = make_trainer(samples, tmp_path / "cut", checkpoint_every=3)
    stop = Stop()
    stop.requested = 15
    with pytest.raises(Interrupted):
        first.fit(stop)
    assert first.step == 1
    second = make_trainer(samples, tmp_path / "cut")
    torch.manual_seed(999)  # whatever state the new process is in
    second.restore(load_checkpoint(second.run.last, "resume"))
    second.fit(Stop())
    assert same(state(full), state(second))
    assert full.optimizer.state_dict()["state"][0]["exp_avg"].equal(
        second.optimizer.state_dict()["state"][0]["exp_avg"]
    )
    assert full.best == second.best

    def lines(trainer):
        return [{k: v for k, v in m.items() if k != "seconds"} for m in trainer.run.read_metrics()]

    assert lines(full) == lines(second)


def test_best_follows_validation_and_survives_resuming(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path, MLP, scores=[0.3, 0.9, 0.4])
    trainer.fit(Stop())
    assert trainer.best == BEST | {"value": 0.9, "step": 4}
    assert load_checkpoint(trainer.run.best, "x").step == 4
    assert load_checkpoint(trainer.run.last, "x").step == 6
    again = make_trainer(samples, tmp_path, MLP, scores=[0.8], steps=8)
    again.restore(load_checkpoint(trainer.run.last, "x"))
    again.fit(Stop())
    assert again.best["step"] == 4


def test_a_best_score_that_measured_something_else_is_forgotten(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path, MLP, scores=[0.9, 0.9, 0.9])
    trainer.fit(Stop())
    again = make_trainer(samples, tmp_path, MLP, scores=[0.1], steps=8)
    again.parts.measured = "episodes by group"
    again.restore(load_checkpoint(trainer.run.last, "x"))
    again.fit(Stop())
    assert again.best == BEST | {"value": 0.1, "step": 8, "measured": "episodes by group"}


def test_without_a_step_to_take_validation_chooses_anew_what_measured_something_else(
    samples, tmp_path
):
    trainer = make_trainer(samples, tmp_path, MLP, scores=[0.9, 0.9, 0.9])
    trainer.fit(Stop())
    again = make_trainer(samples, tmp_path, MLP, scores=[0.1])
    again.parts.measured = "episodes by group"
    again.restore(load_checkpoint(trainer.run.last, "x"))
    again.fit(Stop())
    anew = BEST | {"value": 0.1, "step": 6, "measured": "episodes by group"}
    assert again.best == anew
    assert [load_checkpoint(file, "x").best for file in (again.run.last, again.run.best)] == [
        anew,
        anew,
    ]


def test_fewer_steps_than_done_are_refused(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path, MLP)
    trainer.fit(Stop())
    with pytest.raises(UserError, match="trainer.steps=3 is less than the 6 steps that are done"):
        make_trainer(samples, tmp_path, MLP, steps=3).restore(
            load_checkpoint(trainer.run.last, "x")
        )


def test_best_is_the_lowest_where_lower_is_better(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path, MLP, scores=[0.3, 0.9, 0.2], higher=False)
    trainer.fit(Stop())
    assert (trainer.best["value"], trainer.best["step"]) == (0.2, 6)


def test_metrics_hold_one_line_a_step(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path, MLP)
    trainer.fit(Stop())
    lines = [json.loads(line) for line in trainer.run.metrics.read_text().splitlines()]
    assert [m["step"] for m in lines if m["split"] == "train"] == [1, 2, 3, 4, 5, 6]
    assert [m["step"] for m in lines if m["split"] == "val"] == [2, 4, 6]


def test_a_signal_saves_before_it_ends(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path, MLP, checkpoint_every=100)
    validate = trainer.parts.validate
    stop = Stop()
    trainer.parts.validate = lambda: (stop(2, None), validate())[1]
    with pytest.raises(Interrupted) as stopped:
        trainer.fit(stop)
    assert stopped.value.exit_code == 130
    assert load_checkpoint(trainer.run.last, "x").step == 2


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_a_non_finite_value_names_the_step_and_the_last_good_checkpoint(samples, tmp_path, what):
    trainer = make_trainer(samples, tmp_path, MLP, checkpoint_every=2)
    loss = trainer.learner.loss

    def broken(batch):
        value = loss(batch)
        if trainer.step < 3:
            return value
        bad = value * math.nan
        return bad if what == "loss" else NanGradient.apply(value)

    trainer.learner.loss = broken
    with pytest.raises(
        TrainingError, match=rf"the {what} is nan at step 4; the last good .*last.ckpt \(step 2\)"
    ):
        trainer.fit(Stop())
    kept = load_checkpoint(trainer.run.last, "x").learner
    assert all(torch.isfinite(v).all() for v in kept.values())


class NanGradient(torch.autograd.Function):
    @staticmethod
    def forward(context, value):
        return value.clone()

    @staticmethod
    def backward(context, gradient):
        return gradient * math.nan


@pytest.fixture
def alone(monkeypatch):
    """A rank's gradients are those of its own episodes, as if the others had the same."""
    steps = []
    monkeypatch.setattr(loop, "all_reduce_gradients", lambda learner, world: steps.append(world))
    return steps


def test_rank_1_trains_as_rank_0_does_and_writes_nothing(samples, tmp_path, alone):
    opened = {"scores": [0.3, 0.9, 0.4], "loggers": ["tensorboard"]}
    zero, one = (
        make_trainer(samples, tmp_path / str(r), MLP, world=World(r, 2), **opened) for r in range(2)
    )
    zero.fit(Stop())
    one.fit(Stop())
    assert not list((tmp_path / "1").iterdir())
    assert {p.name for p in (tmp_path / "0").iterdir()} == {
        "checkpoints",
        "metrics.jsonl",
        "tensorboard",
    }
    assert one.best == zero.best == BEST | {"value": 0.9, "step": 4} and same(
        state(zero), state(one)
    )


def test_rank_1_goes_on_from_what_rank_0_wrote_and_leaves_it_as_it_is(samples, tmp_path, alone):
    trainer = make_trainer(samples, tmp_path, MLP, scores=[0.3, 0.4, 0.9])
    trainer.fit(Stop())
    trainer.run.best.unlink()  # rank 0 is going to write it anew
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    one = make_trainer(samples, tmp_path, MLP, world=World(1, 2), steps=8)
    one.restore(load_checkpoint(trainer.run.last, "x"))
    one.fit(Stop())
    assert one.step == 8 and one.best["step"] == 6
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_gradients_of_all_ranks_are_put_together_before_they_are_clipped(
    samples, tmp_path, monkeypatch
):
    """Adam's first moment is a tenth of the gradient that the optimizer is given."""

    def reduced(learner, world):
        assert world == World(1, 2)
        for parameter in learner.parameters():
            parameter.grad.fill_(3.0)

    monkeypatch.setattr(loop, "all_reduce_gradients", reduced)
    trainer = make_trainer(samples, tmp_path, MLP, world=World(1, 2), steps=1, grad_clip_norm=1.0)
    trainer.fit(Stop())
    moments = torch.cat(
        [s["exp_avg"].flatten() for s in trainer.optimizer.state_dict()["state"].values()]
    )
    assert moments.min() == moments.max() > 0 and moments.norm().item() == pytest.approx(
        0.1, rel=1e-3
    )


def test_gradients_of_one_process_stay_and_those_of_several_are_not_put_together():
    layer = torch.nn.Linear(2, 1, bias=False)
    layer.weight.grad = torch.tensor([[1.0, -2.0]])
    loop.all_reduce_gradients(layer, SINGLE_PROCESS)
    assert layer.weight.grad.tolist() == [[1.0, -2.0]]
    with pytest.raises(NotImplementedError):
        loop.all_reduce_gradients(layer, World(0, 2))


def test_weight_decay_may_change_on_resuming(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path, MLP)
    trainer.fit(Stop())
    again = make_trainer(samples, tmp_path, MLP, weight_decay=0.5)
    again.restore(load_checkpoint(trainer.run.last, "x"))
    assert [g["weight_decay"] for g in again.optimizer.param_groups] == [0.5, 0.0]


def test_a_best_checkpoint_of_another_course_is_not_kept(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path, MLP, scores=[0.9, 0.1, 0.2])
    trainer.fit(Stop())
    last = load_checkpoint(trainer.run.last, "x")
    other = load_checkpoint(trainer.run.best, "x")
    other.step = 5
    other.save(trainer.run.best)  # as if the run had been killed after saving a better one
    again = make_trainer(samples, tmp_path, MLP, scores=[0.15], steps=8)
    again.restore(last)
    again.fit(Stop())
    assert again.best["step"] == 8 == load_checkpoint(trainer.run.best, "x").step


def test_parameters_that_are_not_finite_are_not_saved(samples, tmp_path):
    trainer = make_trainer(samples, tmp_path, MLP)
    next(trainer.learner.parameters()).data.fill_(math.inf)
    with pytest.raises(TrainingError, match="parameter .* is inf"):
        trainer.save_last()
    assert not trainer.run.last.exists()


def test_a_signal_in_the_last_step_is_heeded(samples, tmp_path):
    stop = Stop()
    stop.requested = 15
    trainer = make_trainer(samples, tmp_path, MLP, steps=1)
    with pytest.raises(Interrupted):
        trainer.fit(stop)
    assert load_checkpoint(trainer.run.last, "x").step == 1


def test_the_schedule_warms_up_and_ends_at_zero():
    assert [schedule(s, 4, 12) for s in range(5)] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert schedule(8, 4, 12) == pytest.approx(0.5)
    assert schedule(12, 4, 12) == pytest.approx(0.0)
    assert schedule(0, 0, 1) == 1.0


def test_only_matrices_decay():
    groups = build_optimizer(make_learner(), TrainerConfig(**OPTIONS)).param_groups
    assert [g["weight_decay"] for g in groups] == [0.1, 0.0]
    assert all(p.ndim >= 2 for p in groups[0]["params"]) and all(
        p.ndim < 2 for p in groups[1]["params"]
    )


def test_steps_and_seeds_have_their_own_random_numbers():
    assert len({step_seed(seed, step) for seed in range(10) for step in range(-1, 10)}) == 110
