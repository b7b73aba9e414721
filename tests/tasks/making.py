"""Small learners that write texts, and samples with texts to feed them."""

import numpy as np
import pytest
import torch

from mmml.data.base import Samples
from mmml.data.column import Column
from mmml.data.values import objects
from mmml.encoders import build_embedder
from mmml.episodes import EpisodeShape, Mapping, Sampler, gather
from mmml.evaluation.embed import materialize
from mmml.evaluation.predictions import episode_results
from mmml.evaluation.setting import EvalSetting
from mmml.methods import methods
from mmml.tasks import tasks
from tests.conftest import metric_learner

LANGUAGE_MODEL = {
    "name": "small",
    "prefix": 2,
    "vocabulary": None,
    "layers": 1,
    "heads": 2,
    "width": 16,
    "max_length": 12,
    "decoding": "greedy",
    "beams": 3,
    "temperature": 1.0,
}
RULE = {
    "update_rule": {"name": "sgd", "inner_lr": 0.1},
    "init": "learned",
    "adapt": "head",
    "first_order": True,
    "inner_steps": 2,
    "eval_inner_steps": None,
}
RULE |= {
    "truncation_length": None,
    "step_loss_weights": "last",
    "curriculum": 0.0,
    "head_scale": 1.0,
    "transductive": False,
}
MLP = {"name": "mlp_features", "hidden": [8]}
MAPPING, SHAPE = Mapping.parse("features:features"), EpisodeShape(1, 4, 6)
WORDS = ["cat", "dog", "bird", "fish"]


def task():
    return tasks.build("generation", {"target": "text"}, "task")


def embedder():
    torch.manual_seed(0)
    return build_embedder(
        {"width": 8, "normalize": True, "fusion": "mean", "features": MLP}, ["features"]
    )


def learned(language_model=None, **options):
    """The learned optimizer with a language model: another one, or the small one with
    some other options.
    """
    model = language_model or {}
    section = {
        "language_model": model if "name" in model else LANGUAGE_MODEL | model,
        "vectorize": "auto",
    }
    parts = {"embedder": embedder(), "task": task(), "ways": 1}
    return methods.build("learned_optimizer", RULE | section | options, "method", **parts).eval()


def model_of(learner):
    return learner.model.head.language_model


def metric(classifier="attention", **options):
    return metric_learner(embedder(), task(), classifier=classifier, **options)


@pytest.fixture
def named() -> Samples:
    """Four kinds of things, called by name; in the second language every name has an ending."""
    kinds = np.arange(40) % 4
    values = torch.eye(4)[kinds] + 0.05 * torch.randn(
        40, 4, generator=torch.Generator().manual_seed(0)
    )
    names = objects([WORDS[k] + ("" if i < 20 else "o") for i, k in enumerate(kinds)])
    columns = {"features": Column(values), "text": Column(names)}
    return Samples(["plain", "with o"], np.array([0, 20, 40]), columns)


def batch(learner, samples):
    drawn = Sampler(samples, 0, "train").draw(range(4), SHAPE)
    return gather(learner.task.prepare(samples), drawn, [MAPPING], "text")


def descend(learner, samples, steps):
    learner.fit(samples)
    optimizer, taken = torch.optim.Adam(learner.parameters(), 0.01), batch(learner, samples)
    losses = []
    for _ in range(steps):
        (loss,) = learner.losses(taken, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def judged(learner, samples):
    encoded = materialize(learner, samples, ["features", "text"])
    panel = episode_results(
        learner,
        encoded,
        Sampler(samples, 0, "test"),
        [EvalSetting("few_shot", learner.task, SHAPE, (MAPPING,))],
        10,
    )
    return {c.key.metric: c.mean for c in panel.rows}
