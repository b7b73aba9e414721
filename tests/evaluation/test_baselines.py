import pytest
import torch
from torch import Tensor

from mmml.data.base import Granularity
from mmml.encoders import Encoder, encoders
from mmml.evaluation.baselines import baselines, frozen_classifiers
from mmml.similarity import distances
from mmml.tasks import tasks
from tests.conftest import MLP, make_learner

CLASSIFICATION = tasks.build("classification", {}, "task")


@pytest.fixture
def raw_smell(monkeypatch):
    """A modality whose raw values are compared by a distance of their own."""

    class RawSmell(Encoder):
        modality = "audio"
        distance = "first_number"

        def __init__(self, width: int):
            super().__init__()

        def prepare(self, raw: Tensor) -> Tensor:
            return raw

        def forward(self, prepared: Tensor) -> Tensor:
            return prepared

    def first_number(query: Tensor, support: Tensor) -> Tensor:
        return (query[..., :1] - support[..., :1].transpose(-1, -2)).abs()

    encoders.names(), distances.names()  # filled before they are changed
    monkeypatch.setitem(encoders._parts, "raw_audio", RawSmell)
    monkeypatch.setitem(distances._parts, "first_number", first_number)


def test_each_modality_is_compared_by_its_own_distance(raw_smell):
    found = baselines.get("raw/nearest", "")(
        {"image": Granularity.SAMPLE, "audio": Granularity.SAMPLE}, CLASSIFICATION
    )
    assert [set(raw.embedder.encoders) for raw in found] == [{"image"}, {"audio"}]
    assert {raw.predictor_name for raw in found} == {"raw/nearest"} and all(
        raw.baseline for raw in found
    )
    (audio,) = found[1:]
    support, query = torch.tensor([[[1.0, 9.0], [3.0, 0.0]]]), torch.tensor([[[2.5, 9.0]]])
    assert audio._distance(query, support).tolist() == [[[1.5, 0.5]]]


def test_a_modality_without_raw_encoder_has_no_baseline(monkeypatch):
    monkeypatch.delitem(encoders._parts, f"raw_{encoders.names() and 'text'}", raising=False)
    found = baselines.get("raw/nearest", "")(
        {"image": Granularity.SAMPLE, "text": Granularity.CLASS}, CLASSIFICATION
    )
    assert [set(raw.embedder.encoders) for raw in found] == [{"image"}]


def test_a_learner_that_trains_its_encoders_has_no_rules_beside_it(learner):
    assert frozen_classifiers(learner) == []


def test_rules_on_frozen_features_share_the_embedder():
    learner = make_learner(MLP)
    learner.embedder.requires_grad_(False)
    learner.train()
    found = frozen_classifiers(learner)
    assert [r.predictor_name for r in found] == [
        "frozen/prototype",
        "frozen/ridge",
        "frozen/attention",
    ]
    assert all(
        r.embedder is learner.embedder and r.baseline and r.task is learner.task for r in found
    )
    assert learner.embedder.training  # and leave its mode alone
