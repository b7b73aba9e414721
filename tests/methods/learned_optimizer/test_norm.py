"""Batch normalisation inside of a task: whose statistics count, and what stays as it was."""

import copy

import pytest
import torch
from torch import nn

from mmml.data.column import Column
from mmml.episodes import EpisodeShape, ExampleSet
from mmml.methods.learned_optimizer.norm import Statistics, TaskNorm, inside_task, with_task_norms
from tests.methods.learned_optimizer.making import (
    CONV,
    GENTLE,
    IMAGES,
    NAMES,
    episodes,
    make,
    numbers,
    tiny,
)

OWN, FIRST, RUNNING = Statistics
X = 3 + 2 * torch.randn(6, 4, 5, 5, generator=torch.Generator().manual_seed(0))


def trained(channels=4) -> nn.BatchNorm2d:
    """One whose parameters and running statistics are no longer those of its start."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(channels)
    nn.init.uniform_(norm.weight, 0.5, 2)
    nn.init.normal_(norm.bias)
    for _ in range(3):
        norm(torch.randn(8, channels, 2, 2) + 1)
    return norm


def by_hand(norm, x, mean, variance):
    mean, variance, gain, bias = (
        t.view(1, -1, 1, 1) for t in (mean, variance, norm.weight, norm.bias)
    )
    return (x - mean) / (variance + norm.eps).sqrt() * gain + bias


def inside(norm: TaskNorm, statistics: Statistics, *batches):
    """What comes of the last batch."""
    with inside_task(norm, statistics):
        return [norm(x) for x in batches][-1]


@pytest.mark.parametrize("training", [True, False])
def test_outside_of_a_task_it_is_the_layer_that_it_replaces(training):
    plain, norm = trained().train(training), TaskNorm(trained()).train(training)
    for _ in range(2):
        assert torch.equal(plain(X), norm(X))
    assert all(torch.equal(a, b) for a, b in zip(plain.buffers(), norm.buffers(), strict=True))
    assert torch.equal(plain.running_mean, trained().running_mean) != training


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("rows", [1, 4])
def test_inside_of_a_task_the_first_batch_counts(rows, training):
    norm = TaskNorm(trained()).train(training)
    support = X[:rows].transpose(0, 1).flatten(1)
    expected = by_hand(norm.norm, X, support.mean(1), support.var(1, correction=0))
    assert torch.allclose(inside(norm, FIRST, X[:rows]), expected[:rows], atol=1e-5)
    for _ in range(2):  # it does not remember another task
        assert torch.allclose(inside(norm, FIRST, X[:rows], X), expected, atol=1e-5)
    assert torch.allclose(
        inside(norm, OWN, X[:rows], X[rows:]), inside(norm, FIRST, X[rows:]), atol=1e-5
    )


@pytest.mark.parametrize("training", [True, False])
def test_running_statistics_count_where_no_batch_does(training):
    norm = TaskNorm(trained()).train(training)
    expected = by_hand(norm.norm, X, norm.norm.running_mean, norm.norm.running_var)
    assert torch.allclose(inside(norm, RUNNING, X), expected, atol=1e-5)


def test_sequences_and_vectors_are_normalised_by_channel():
    norm = TaskNorm(nn.BatchNorm1d(4))
    for x in (X[..., 0, 0], X[..., 0]):
        axes = [0, *range(2, x.ndim)]
        mean = x[:4].mean(axes, keepdim=True)
        deviation = x[:4].var(axes, correction=0, keepdim=True).add(1e-5).sqrt()
        assert torch.allclose(inside(norm, FIRST, x[:4], x), (x - mean) / deviation, atol=1e-5)


@pytest.mark.parametrize("statistics", Statistics)
def test_gradients_can_be_differentiated_twice(statistics):
    norm = TaskNorm(nn.BatchNorm1d(2)).double()
    nn.init.normal_(norm.norm.weight)
    x = torch.randn(
        4, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True
    )
    last = lambda x, *_: inside(norm, statistics, x[:2], x[1:])  # noqa: E731
    assert torch.autograd.gradcheck(last, (x, *norm.parameters()))
    assert torch.autograd.gradgradcheck(last, (x, *norm.parameters()))


def test_inside_ends_even_where_something_fails():
    norm = TaskNorm(trained())
    with pytest.raises(ZeroDivisionError), inside_task(norm, FIRST):
        norm(X)
        _ = 1 / 0
    assert norm.statistics is None is norm.first


def test_every_batch_normalisation_below_is_replaced_once():
    module = nn.Sequential(
        nn.BatchNorm1d(2), nn.Sequential(nn.Linear(2, 2), nn.ModuleList([nn.BatchNorm2d(3)]))
    )
    parameters = list(module.parameters())
    again = with_task_norms(with_task_norms(module))
    assert again is module and [
        a is b for a, b in zip(module.parameters(), parameters, strict=True)
    ]
    assert sum(isinstance(m, TaskNorm) for m in module.modules()) == 2
    assert isinstance(module[0], TaskNorm) and isinstance(module[1][1][0], TaskNorm)


def conv(**changed):
    return make(CONV, adapt="all", update_rule="sgd", **GENTLE | changed)


def pieces(query: ExampleSet, *orders) -> list[ExampleSet]:
    """The queries of one episode, in these orders: permuted, some alone, some twice."""
    images = query.columns["image"]
    return [ExampleSet.of({"image": images.take(o.numpy())}) for o in orders]


@torch.no_grad()
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("mapping", [IMAGES, NAMES], ids=str)
@pytest.mark.parametrize("transductive", [False, True])
def test_queries_influence_one_another_only_where_that_is_declared(
    samples, mapping, transductive, training
):
    learner = conv(transductive=transductive, head_scale=10.0).train(training)
    support, query = episodes(samples, [mapping], [0], EpisodeShape(3, 1, 2)).view(mapping)
    predict = learner.adapt(support)
    moved = []
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    full = predict(query)
    for o in (order, order[:1], order[:2].repeat(2), torch.arange(6)):
        (piece,) = pieces(query, o)
        moved.append((predict(piece) - full[:, o]).abs().max().item())
    assert max(moved[0], moved[3]) < 1e-5  # permuted, and the same
    assert (max(moved[1:3]) > 1e-4) == transductive  # fewer, and some twice
    assert learner.transductive == transductive == learner.describe()["transductive"]


def running(learner):
    return {n: b.clone() for n, b in learner.named_buffers()}


def same(before, after):
    return before.keys() == after.keys() != set() and all(
        torch.equal(b, after[n]) for n, b in before.items()
    )


@pytest.mark.parametrize("training", [True, False])
def test_adapting_and_predicting_move_no_running_statistics(samples, training):
    learner = conv().train(training)
    before = running(learner)
    for mapping in (IMAGES, NAMES):
        support, query = episodes(samples, [mapping]).view(mapping)
        learner.adapt(support)(query)
    assert same(before, running(learner))


def test_running_statistics_follow_the_queries_of_one_task_of_each_step(samples):
    learner, batch = conv(inner_steps=4, truncation_length=2), episodes(samples)
    before, plain = running(learner), copy.deepcopy(learner.embedder)
    for loss in learner.losses(batch, 1.0):
        loss.backward()
    after = running(learner)
    assert not same(before, after)
    tasks = batch.query.shapes["image"][0]
    plain.encode("image", Column(batch.query.values["image"].chunk(tasks)[0]))
    assert all(
        torch.allclose(b, after[f"model.embedder.{n}"], atol=1e-6) for n, b in plain.named_buffers()
    )
    learner.eval()
    for loss in learner.losses(batch, 1.0):
        loss.backward()
    assert same(after, running(learner))


@torch.no_grad()
def test_queries_of_a_modality_without_support_take_running_statistics(samples):
    learner = conv(head_scale=10.0).eval()
    support, query = episodes(samples, [NAMES]).view(NAMES)
    before = learner.adapt(support)(query)
    norms = [m.norm for m in learner.modules() if isinstance(m, TaskNorm)]
    for norm in norms:
        norm.running_mean += 0.1
    assert (learner.adapt(support)(query) - before).abs().max() > 3e-5
    support, query = episodes(samples, [IMAGES]).view(IMAGES)
    before = learner.adapt(support)(query)
    for norm in norms:
        norm.running_mean -= 0.1
    assert torch.equal(learner.adapt(support)(query), before)


@torch.no_grad()
def test_statistics_are_those_of_the_task_alone():
    learner = make(
        tiny(), adapt="all", update_rule="sgd", vectorize=True, ways=2, **GENTLE
    ).double()
    batch = numbers(encoded=False)
    support, query = batch.view(IMAGES)
    before = learner.adapt(support)(query)
    support.values["image"][4:] *= 5  # the second task's
    after = learner.adapt(support)(query)
    assert torch.allclose(after[0], before[0], rtol=1e-12) and not torch.allclose(
        after[1], before[1], rtol=1e-3
    )
