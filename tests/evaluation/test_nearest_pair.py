import pytest
import torch

from mmml.data.base import Granularity
from mmml.data.column import Column
from mmml.data.values import objects
from mmml.encoders import build_embedder
from mmml.episodes import ExampleSet
from mmml.evaluation.baselines import baselines
from mmml.evaluation.nearest_pair import NearestPair
from mmml.methods import Role
from mmml.similarity.distances import cosine
from mmml.tasks import tasks

TASK = tasks.build("retrieval", {"target": "text", "temperature": 0.1}, "task")
RAW = {"width": 1, "normalize": False, "fusion": "mean", "features": {"name": "raw_features"}}
RAW |= {"text": {"name": "raw_text"}}


def pairs_of(shown, answers):
    """One episode of one class."""
    targets = ExampleSet.of({"text": Column(objects(answers))})
    return ExampleSet.of({"features": Column(torch.tensor(shown))}, answers=targets)


def found_for(modalities):
    return [
        b.predictor_name
        for b in baselines.get("raw/nearest", "")(
            dict.fromkeys(modalities, Granularity.SAMPLE), TASK
        )
    ]


def test_answers_are_sought_where_that_of_the_nearest_pair_lies():
    learner = NearestPair(build_embedder(RAW, ["features", "text"]), TASK, cosine)
    support = pairs_of([[1.0, 0.0], [0.0, 1.0]], ["red", "blue"])
    query = pairs_of([[0.9, 0.1], [0.2, 0.9], [1.0, 1.0]], ["?", "?", "?"])
    red, blue = learner.embedder.encode("text", Column(objects(["red", "blue"])))
    torch.testing.assert_close(
        learner.adapt(support)(query), torch.stack([red, blue, (red + blue) / 2])[None]
    )


@pytest.mark.parametrize(
    ("modalities", "names"),
    [
        (["image", "text"], ["raw/nearest pair"]),
        (["audio", "text"], ["raw/nearest pair"]),  # by time warping
        (
            ["source_text", "text"],
            ["raw/nearest pair", "raw/attention", "raw/attention, no support"],
        ),
        (["text"], []),
    ],
)
def test_what_is_found_without_training(modalities, names):
    assert found_for(modalities) == names


def test_nothing_compares_what_has_gaps_by_the_cosine():
    task = tasks.build("retrieval", {"target": "audio", "temperature": 0.1}, "task")
    assert (
        baselines.get("raw/nearest", "")(
            {"image": Granularity.SAMPLE, "audio": Granularity.SAMPLE}, task
        )
        == []
    )


def test_all_of_them_are_untrained():
    found = baselines.get("raw/nearest", "")(
        {"source_text": Granularity.SAMPLE, "text": Granularity.SAMPLE}, TASK
    )
    assert {b.role for b in found} == {Role.UNTRAINED}
