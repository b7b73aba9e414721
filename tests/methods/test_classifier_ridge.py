import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge, RidgeCV

from mmml.methods.metric.classifiers.ridge import ONE_SHOT, STRENGTHS, fit, press, ridge
from mmml.similarity import distances
from mmml.tasks import tasks

UNEQUAL = [0, 0, 0, 1, 1, 2, 2, 2, 2]
CLASSIFICATION = tasks.build("classification", {}, "task")


def episode(labels, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor([labels])
    centres = 2 * torch.randn(int(labels.max()) + 1, width, generator=generator)
    support = centres[labels] + torch.randn(*labels.shape, width, generator=generator) + 3
    return support, labels, torch.randn(1, 6, width, generator=generator) + 3


def scores_of(weights, labels):
    """The class scores up to a constant of each query, at temperature 1."""
    return CLASSIFICATION.aggregate(weights, labels)[0]


def reference(support, labels, query, **options):
    """The same by scikit-learn."""
    x, y = support[0].double().numpy(), F.one_hot(labels)[0].double().numpy()
    unit = ((x - x.mean(0)) ** 2).sum(1).mean()
    model = (
        Ridge(alpha=options["strength"] * unit) if options else RidgeCV(np.array(STRENGTHS) * unit)
    ).fit(x, y)
    return (
        torch.from_numpy(model.predict(query[0].double().numpy())).log_softmax(-1).float(),
        model,
        unit,
    )


def rule(support, labels, query, distance="euclidean", temperature=1.0):
    return ridge(distances.get(distance, ""), support, labels, query, torch.tensor(temperature))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("width", [2, 4, 30], ids=["narrow", "middle", "wide"])
@pytest.mark.parametrize("labels", [[0, 0, 1, 1, 2, 2], UNEQUAL], ids=["equal", "unequal"])
def test_agrees_with_scikit_learn(labels, width, seed):
    support, labels, query = episode(labels, width, seed)
    expected, _, _ = reference(support, labels, query)
    assert torch.allclose(scores_of(rule(support, labels, query), labels), expected, atol=1e-4)


@pytest.mark.parametrize("distance", ["euclidean", "sqeuclidean"])
def test_one_shot_has_the_strength_of_one(distance):
    support, labels, query = episode([2, 0, 1])
    expected, _, _ = reference(support, labels, query, strength=STRENGTHS[ONE_SHOT])
    assert STRENGTHS[ONE_SHOT] == 1
    assert torch.allclose(
        scores_of(rule(support, labels, query, distance), labels), expected, atol=1e-4
    )


def test_cosine_takes_directions_alone():
    support, labels, query = episode(UNEQUAL)
    directions = rule(F.normalize(support, dim=-1), labels, F.normalize(query, dim=-1))
    lengths = torch.tensor([0.5, 3.0, 1.0, 2.0, 7.0, 0.1])[None, :, None]
    assert torch.allclose(rule(support, labels, query * lengths, "cosine"), directions, atol=1e-5)
    bound = distances.build("cosine", {}, "method.distance")
    assert torch.allclose(
        ridge(bound, support, labels, query, torch.tensor(1.0)), directions, atol=1e-5
    )


@pytest.mark.parametrize("units", [1e-30, 1e-21, 1e-3, 1e25, 1e30])
@pytest.mark.parametrize("distance", ["euclidean", "cosine"])
def test_embeddings_of_any_size_have_the_same_scores(distance, units):
    support, labels, query = episode(UNEQUAL)
    found = rule(units * support, labels, units * query, distance)
    assert torch.allclose(found, rule(support, labels, query, distance), atol=1e-4)


def errors_by_refitting(support, labels, strength, unit, counted):
    """Leave each counted item out, fit the others, and add up the squared errors."""
    x, y = support[0].double().numpy(), F.one_hot(labels)[0].double().numpy()
    total = 0.0
    for i in counted:
        kept = [j for j in range(len(x)) if j != i]
        total += (
            (Ridge(alpha=strength * unit).fit(x[kept], y[kept]).predict(x[i : i + 1]) - y[i]) ** 2
        ).sum()
    return total


@pytest.mark.parametrize(
    ("labels", "counted"),
    [(UNEQUAL, range(9)), ([0, 1, 1, 2, 2, 2], [1, 2, 3, 4, 5])],
    ids=["all", "not the only one of its class"],
)
def test_leaving_one_out_is_what_refitting_gives(labels, counted):
    support, labels, _ = episode(labels)
    x = support.double() - support.double().mean(1, keepdim=True)
    members = F.one_hot(labels).double()
    unit = float(x.square().sum(-1).mean())
    values, vectors = torch.linalg.eigh(x @ x.mT)
    rotated = vectors.mT @ (members - members.mean(1, keepdim=True))
    spare = torch.zeros(labels.shape, dtype=torch.double)
    spare[:, list(counted)] = 1
    strengths = unit * torch.tensor([STRENGTHS]).double()
    got = press(values.clamp_min(0), vectors, rotated, strengths, spare, intercept=True)
    expected = [errors_by_refitting(support, labels, s, unit, counted) for s in STRENGTHS]
    assert got[0].numpy() == pytest.approx(np.array(expected), rel=1e-6)
    best = unit * STRENGTHS[int(np.argmin(expected))]
    centred = members - members.mean(1, keepdim=True)
    dual = torch.linalg.solve(x @ x.mT + best * torch.eye(labels.shape[1]), centred)
    assert torch.allclose(fit(x @ x.mT, centred, members), dual, atol=1e-6)


def test_leaving_one_out_without_an_intercept_is_what_refitting_gives():
    support, labels, _ = episode(UNEQUAL)
    members = F.one_hot(labels).double()
    kernel = support.double() @ support.double().mT
    eye = torch.eye(len(UNEQUAL)).double()
    unit = float(kernel.diagonal(dim1=1, dim2=2).mean())
    errors = []
    for strength in STRENGTHS:
        left_out = []
        for i in range(len(UNEQUAL)):
            kept = [j for j in range(len(UNEQUAL)) if j != i]
            inner = kernel[0][kept][:, kept] + strength * unit * eye[kept][:, kept]
            dual = torch.linalg.solve(inner, members[0][kept])
            left_out.append(float((kernel[0][i, kept] @ dual - members[0, i]).square().sum()))
        errors.append(sum(left_out))
    best = STRENGTHS[int(np.argmin(errors))] * unit
    dual = torch.linalg.solve(kernel + best * eye, members)
    assert torch.allclose(fit(kernel, members, members, intercept=False), dual, atol=1e-6)


def test_episodes_of_a_batch_choose_for_themselves():
    clean = torch.tensor([[[0.0, 0.0], [0.1, 0.0], [9.0, 0.0], [9.1, 0.0]]])
    noise = torch.tensor([[[0.0, 1.0], [5.0, 0.0], [0.0, 1.0], [5.0, 0.0]]])
    labels, query = torch.tensor([[0, 0, 1, 1]]), torch.tensor([[[1.0, 0.0], [3.0, 1.0]]])
    both = rule(torch.cat([clean, noise]), labels.expand(2, -1), query.expand(2, -1, -1))
    inductive = torch.cat([rule(s, labels, query) for s in (clean, noise)])
    assert torch.allclose(both, inductive, atol=1e-6)
    sure, unsure = both.exp().amax(-1)[:, 0]
    assert sure > 0.33 and unsure < 0.27  # of two items in the first class, and of four


def test_one_shot_and_many_shots_mix_in_a_batch():
    support, _, query = episode([0, 0, 1, 1])
    labels = torch.tensor([[0, 0, 1, 1], [0, 1, 2, 3]])
    both = rule(support.expand(2, -1, -1), labels, query.expand(2, -1, -1))
    assert torch.allclose(
        scores_of(both[1:], labels[1:]), scores_of(rule(support, labels[1:], query), labels[1:])
    )


def test_a_collapsed_space_is_told_nothing():
    got = rule(torch.ones(1, 4, 3), torch.tensor([[0, 0, 1, 1]]), torch.ones(1, 2, 3))
    assert torch.allclose(got.exp(), torch.full((1, 2, 4), 0.25))


def test_temperature_divides_the_scores():
    support, labels, query = episode(UNEQUAL)
    warm, cold = (
        scores_of(rule(support, labels, query, temperature=t), labels) for t in (1.0, 0.1)
    )
    assert torch.allclose(cold, (10 * warm).log_softmax(-1), atol=1e-4)
