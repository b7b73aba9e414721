import numpy as np
import pytest
import torch

from mmml.datasets import Column, Per, Samples
from mmml.encoders import build_embedder
from mmml.episodes import Mapping, Sampler, Shape, gather
from mmml.methods.controls import FromTraining, Shuffled, shuffled
from mmml.methods.metric import MetricLearner
from mmml.tasks import tasks

MAPPING, SHAPE = Mapping.parse("features:features"), Shape(1, 6, 4)
OPTIONS = {"temperature": 0.01, "learn_temperature": True, "margin": 1.0, "squared": False}


@pytest.fixture
def scored() -> Samples:
    """One quantity: the score is the number of the feature that is 1."""
    kinds = np.arange(24) % 4
    values = Column(Per.SAMPLE, torch.eye(4)[kinds])
    return Samples(["a"], np.array([0, 24]), {"features": values}, targets=kinds.astype(np.float32))


def learner():
    sections = {"width": 4, "normalize": False, "fusion": "mean", "features": {"name": "raw_features"}}
    return MetricLearner(build_embedder(sections, ["features"]), tasks.build("regression", {}, "task"), "euclidean",
                         "infonce", "attention", **OPTIONS)  # fmt: skip


def view(samples, numbers=(0, 1)):
    return gather(samples, Sampler(samples, 0, "test").draw(numbers, SHAPE), [MAPPING]).view(MAPPING)


def test_answers_belong_to_the_item_before(scored):
    support, _ = view(scored)
    wrong = shuffled(support)
    assert torch.equal(wrong.targets, support.targets.roll(1, dims=1))
    assert torch.equal(wrong.values["features"], support.values["features"])


def test_answers_of_a_modality_are_moved_within_their_episode(scored):
    named = {**scored.columns, "text": Column(Per.SAMPLE, torch.arange(24.0)[:, None], encoded=True)}
    samples = Samples(scored.classes, scored.starts, named, target="text")
    support, _ = gather(samples, Sampler(samples, 0, "test").draw([0, 1], SHAPE), [MAPPING]).view(MAPPING)
    before, after = (s.answers.items("text")[..., 0] for s in (support, shuffled(support)))
    assert torch.equal(after, before.roll(1, dims=1)) and (after != before).all()


def test_wrong_pairs_spoil_a_learner(scored):
    support, query = view(scored)
    own = learner()
    right, wrong = (own.task.targets(query) - one.adapt(support)(query) for one in (own, Shuffled(own)))
    assert right.abs().max() < 0.1 < 0.5 < wrong.abs().mean()
    assert Shuffled(own).baseline and Shuffled(own).predictor_name == "metric/attention, shuffled pairs"


def test_what_is_known_from_training_does_not_depend_on_the_support_set(scored):
    train = Samples(scored.classes, scored.starts, scored.columns, targets=scored.targets + 10)
    support, query = view(scored)
    own = FromTraining(learner(), train)
    predictions = own.adapt(support)(query)
    assert torch.allclose(predictions, query.targets + 10, atol=0.1)
    assert torch.equal(predictions, own.adapt(shuffled(support))(query))
