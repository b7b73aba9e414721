"""Every encoder as fast parameters: it can be adapted, differentiated twice, and its batch
statistics are a task's.
"""

import pytest
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from mmml.data.column import Column
from mmml.encoders import Embedder
from mmml.encoders.embedder import Mean
from mmml.episodes import Batch, ExampleSet, Mapping
from mmml.methods.learned_optimizer.models import FullModel
from tests.encoders.material import LEARNED, RAGGED, WIDTH, build, modality_of
from tests.methods.learned_optimizer.making import GENTLE, make

# What they compute depends on what is padding: never for all tasks at once.
MASKED = {"audio", "video"}
NORMED = [name for name in LEARNED if any(isinstance(m, _BatchNorm) for m in build(name).modules())]


def full(name: str, **changed):
    encoder = build(name)
    embedder = Embedder({encoder.modality: encoder}, Mean([encoder.modality]), True, WIDTH)
    return make(
        embedder, adapt="all", update_rule="sgd", init="prototype", **GENTLE | changed
    ).eval()


def of(name: str, *rows: int, ways=1, tasks=1) -> ExampleSet:
    modality = modality_of(name)
    column = Column(RAGGED[modality]).take(list(rows))
    return ExampleSet({modality: column}, {modality: (tasks, ways, len(rows) // ways // tasks)})


@torch.no_grad()
@pytest.mark.parametrize("name", LEARNED)
def test_queries_of_any_length_do_not_influence_one_another(name):
    predict = full(name).adapt(of(name, 0, 1, 2, 3, ways=2))
    together = predict(of(name, 3, 1, 2, 0))
    for i, row in enumerate((3, 1, 2, 0)):
        assert torch.allclose(predict(of(name, row))[:, 0], together[:, i], atol=1e-5)


@pytest.mark.parametrize("name", LEARNED)
def test_encoders_can_be_differentiated_twice(name):
    learner = full(name, first_order=False, inner_steps=2)
    modality = modality_of(name)
    batch = Batch(
        of(name, 0, 1, 2, 3, ways=2), of(name, 2, 1, ways=2), (Mapping((modality,), (modality,)),)
    )
    (loss,) = learner.losses(batch, 1.0)
    loss.backward()
    assert all(
        p.grad is not None and torch.isfinite(p.grad).all()
        for p in learner.parameters()
        if p.requires_grad
    )


@torch.no_grad()
@pytest.mark.parametrize("name", [name for name in LEARNED if modality_of(name) not in MASKED])
def test_all_tasks_at_once_are_one_by_one(name):
    support = of(name, 0, 1, 2, 3, 3, 1, 0, 2, ways=2, tasks=2)
    query = of(name, 1, 2, 3, 0, tasks=2)
    once, singly = (full(name, vectorize=v).adapt(support)(query) for v in (True, False))
    assert torch.allclose(once, singly, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", NORMED)
def test_statistics_are_those_of_all_support_items(name):
    """Of what is no padding, as a batch normalisation in training mode has them."""
    learner = full(name)
    model = learner.model
    assert isinstance(model, FullModel)
    ((modality, encoder),) = model.embedder.items()
    encoded = model.encode(of(name, 0, 1, 2, 3))
    params = model.initial(encoded, torch.tensor([[0, 0, 1, 1]]), 2)
    for module in encoder.modules():
        module.train(isinstance(module, _BatchNorm))
    expected = model.head(
        params,
        torch.nn.functional.normalize(encoder(encoded.values[modality].flatten(0, 2)), dim=-1)[
            None
        ],
    )
    assert torch.allclose(model(params, encoded), expected, atol=1e-4)
    assert torch.allclose(model(params, encoded, encoded), expected, atol=1e-4)
