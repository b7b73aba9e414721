"""What a GPU must not change; skipped where there is none."""

import copy
import json

import numpy as np
import pytest
import torch

from mmml.training.numerics import Numerics
from tests.conftest import SMALL, SMOKE, command, make_learner
from tests.methods.learned_optimizer.making import GENTLE, IMAGES, NAMES, RULES, episodes, make

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
SHORT = ["method=learned_optimizer", "encoder.width=16", "trainer.steps=4", "trainer.warmup=0"]
SHORT += ["trainer.validate_every=2", "trainer.checkpoint_every=2", "evaluation.episodes=6"]
SHORT += [
    "evaluation.validation_episodes=4",
    "evaluation.lr_search_episodes=2",
    "episode.train.ways=8",
]
QUADRATIC = [
    "experiment=quadratic",
    "trainer.steps=4",
    "trainer.meta_batch_size=4",
    "trainer.validate_every=2",
]
QUADRATIC += [
    "trainer.checkpoint_every=2",
    "method.inner_steps=4",
    "method.truncation_length=2",
    "evaluation.episodes=6",
]
QUADRATIC += ["evaluation.validation_episodes=4", "evaluation.lr_search_episodes=4"]
RUNS = {
    "metric": SMOKE,
    "robustness": [
        *SMOKE,
        "evaluation/evaluators=[few_shot,robustness]",
        "evaluation.robustness.amounts=[0,1]",
    ],
    "lstm": [*SHORT, "encoder=mlp"],
    "maml": [
        *SHORT,
        "encoder=mlp",
        "method/algorithm=maml",
        "method.inner_steps=2",
        "episode.train.ways=5",
    ],
    "maml, convolutions": [
        *SHORT,
        "encoder=small",
        "method/algorithm=maml",
        "method.inner_steps=1",
        "episode.train.ways=5",
    ],
    "quadratic": QUADRATIC,
}


def on_gpu(learner):
    """A copy of a learner on the GPU."""
    twin = copy.deepcopy(learner)
    Numerics(torch.device("cuda"), "fp32", False).move(twin)
    return twin


def losses_and_gradients(learner, batch):
    """What training sees, on the CPU."""
    total = sum(learner.losses(batch, 0.0))
    total.backward()
    return total.item(), {
        n: p.grad.cpu() for n, p in learner.named_parameters() if p.grad is not None
    }


@pytest.mark.parametrize("adapt", ["head", "all"])
@pytest.mark.parametrize("rule", ["sgd", "lstm", "rnnprop", "meta_lstm", "learned_lr"])
def test_adaptation_is_the_same_on_both_devices(samples, rule, adapt):
    learner = make(adapt=adapt, init="prototype", **RULES[rule] | GENTLE).eval()
    batch, twin = episodes(samples, [IMAGES, NAMES]), on_gpu(learner)
    here, present = losses_and_gradients(learner, batch), losses_and_gradients(twin, batch)
    assert present[0] == pytest.approx(here[0], rel=1e-4)
    for name, gradient in here[1].items():
        torch.testing.assert_close(
            present[1][name], gradient, rtol=1e-2, atol=1e-4 * max(1.0, gradient.abs().max())
        )


def test_metric_learning_is_the_same_on_both_devices(samples):
    learner = make_learner(SMALL).eval()
    batch, twin = episodes(samples, [IMAGES, NAMES]), on_gpu(learner)
    assert losses_and_gradients(twin, batch)[0] == pytest.approx(
        losses_and_gradients(learner, batch)[0], rel=1e-4
    )


@pytest.mark.parametrize("run", RUNS)
def test_a_run_repeats_itself_and_is_judged_alike_on_the_cpu(run, tmp_path):
    for folder in ("a", "b"):
        done = command("train", *RUNS[run], f"hydra.run.dir={folder}", cwd=tmp_path, timeout=300)
        assert done.returncode == 0, done.stderr
        assert (
            json.loads((tmp_path / folder / "run.json").read_text())["numerics"]["device"] == "cuda"
        )
    a, b = (
        [json.loads(x) for x in (tmp_path / f / "metrics.jsonl").read_text().splitlines()]
        for f in "ab"
    )
    for row in (*a, *b):
        row.pop("seconds", None)
    assert a == b

    done = command(
        "eval", "checkpoint=a", "name=cpu", "trainer.device=cpu", cwd=tmp_path, timeout=300
    )
    assert done.returncode == 0, done.stderr
    panels = (
        json.loads((tmp_path / "a" / p / "result.json").read_text())["results"]
        for p in ("", "eval/cpu")
    )
    gpu, cpu = ([c["mean"] for c in panel if c["role"] == "learned"] for panel in panels)
    np.testing.assert_allclose(gpu, cpu, rtol=0.02, atol=0.02)


def test_memory_is_flat_over_steps(samples):
    learner = on_gpu(make(update_rule="lstm", init="prototype"))
    batch, devices = episodes(samples, [NAMES]), []
    for _ in range(6):
        learner.zero_grad()
        sum(learner.losses(batch, 0.0)).backward()
        devices.append(torch.cuda.memory_allocated())
    assert devices[-1] == devices[2]
