import math

import pytest
import torch

from mmml.errors import UserError
from mmml.similarity import distances
from mmml.similarity.distances import euclidean, power_of_two, sqeuclidean, unit
from mmml.similarity.local import DESCRIPTOR, local

Q = torch.tensor([[[0.0, 0.0], [3.0, 4.0]]])
S = torch.tensor([[[3.0, 4.0], [0.0, 1.0], [6.0, 8.0]]])


def get(name):
    return distances.get(name, "method.distance")


def test_values_are_per_pair():
    assert torch.allclose(
        get("sqeuclidean")(Q, S), torch.tensor([[[25.0, 1.0, 100.0], [0.0, 18.0, 25.0]]]), atol=1e-4
    )
    assert torch.allclose(
        get("euclidean")(Q, S), torch.tensor([[[5.0, 1.0, 10.0], [0.0, 18**0.5, 5.0]]]), atol=1e-4
    )
    assert torch.allclose(get("cosine")(Q[:, 1:], S), torch.tensor([[[0.0, 0.2, 0.0]]]), atol=1e-6)


@pytest.mark.parametrize("name", ["cosine", "euclidean", "sqeuclidean"])
def test_shapes_do_not_broadcast_between_episodes(name):
    q, s = torch.randn(7, 4, 3), torch.randn(7, 5, 3)
    d = get(name)(q, s)
    assert d.shape == (7, 4, 5)
    one = torch.stack([get(name)(q[i : i + 1], s[i : i + 1])[0] for i in range(7)])
    assert torch.allclose(d, one, atol=1e-5)


@pytest.mark.parametrize("name", ["cosine", "euclidean", "sqeuclidean"])
def test_gradient_is_finite_at_distance_zero(name):
    x = torch.tensor([[[1.0, 2.0], [0.5, 0.1]]], requires_grad=True)
    get(name)(x, x.detach().clone()).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_far_from_the_origin_little_is_lost():
    q = torch.tensor([[[1000.0, 1000.0]]])
    s = torch.tensor([[[1000.0, 1000.1], [1000.0, 1000.0]]])
    assert torch.allclose(get("euclidean")(q, s), torch.tensor([[[0.1, 0.0]]]), atol=1e-4)


@pytest.mark.parametrize("size", [1e-3, 1e-4, 1e-5, 1e-6])
def test_what_lies_near_is_not_at_distance_zero(size):
    """Unit vectors in float32, whose distance from the float64 one is that of their own digits."""
    torch.manual_seed(0)
    s = torch.nn.functional.normalize(torch.randn(1, 50, 64), dim=-1)
    q = torch.nn.functional.normalize(s + size * torch.randn_like(s) / 8, dim=-1)
    truth = (q.double() - s.double()).norm(dim=-1)
    found = get("euclidean")(q, s).diagonal(dim1=-2, dim2=-1).double()
    assert truth.max() < 3 * size and torch.allclose(found, truth, rtol=1e-5, atol=0)
    assert torch.allclose(
        get("sqeuclidean")(q, s).diagonal(dim1=-2, dim2=-1).double(),
        truth.square(),
        rtol=1e-5,
        atol=0,
    )


@pytest.mark.parametrize("name", ["cosine", "euclidean", "sqeuclidean"])
def test_bfloat16_is_lifted_to_float32_and_float64_is_kept(name):
    q, s = torch.randn(1, 2, 3), torch.randn(1, 4, 3)
    assert get(name)(q.bfloat16(), s.bfloat16()).dtype == torch.float32
    assert get(name)(q.double(), s.double()).dtype == torch.float64


def test_mahalanobis_begins_as_euclidean_and_is_learned():
    distance = distances.build("mahalanobis", {}, "method.distance", width=2)
    assert torch.allclose(distance(Q, S), get("euclidean")(Q, S))
    with torch.no_grad():
        distance.map.copy_(torch.tensor([[2.0, 0.0], [0.0, 0.0]]))
    # Only the first axis counts, twice.
    assert torch.allclose(distance(Q, S), torch.tensor([[[6.0, 0.0, 12.0], [0.0, 6.0, 6.0]]]))
    distance(Q, S).sum().backward()
    assert distance.map.grad[0, 0] > 0 and torch.isfinite(distance.map.grad).all()
    assert distance(Q.bfloat16(), S.bfloat16()).dtype == torch.float32


def test_mahalanobis_maps_by_rows():
    """‖Lq − Ls‖ with a matrix L whose second row is empty: only the sum of both axes counts."""
    distance = distances.build("mahalanobis", {}, "method.distance", width=2)
    with torch.no_grad():
        distance.map.copy_(torch.tensor([[1.0, 1.0], [0.0, 0.0]]))
    assert torch.allclose(distance(Q, S), torch.tensor([[[7.0, 1.0, 14.0], [0.0, 6.0, 7.0]]]))


def test_a_learned_distance_needs_a_width():
    with pytest.raises(
        UserError, match="method/distance=mahalanobis needs embeddings of one width"
    ):
        distances.build("mahalanobis", {}, "method.distance", width=None)


def test_local_compares_each_place_with_the_most_alike_both_ways():
    def place(angle):
        return torch.tensor([math.cos(angle), math.sin(angle)] + [0.0] * (DESCRIPTOR - 2))

    one, other = torch.cat([place(0), 3 * place(0.1)]), torch.cat([place(math.pi / 2), place(0)])
    expected = 1 - ((1 + math.cos(0.1)) / 2 + (1 + math.cos(math.pi / 2 - 0.1)) / 2) / 2
    assert local(one.view(1, -1), other.view(1, -1)).item() == pytest.approx(expected, abs=1e-6)
    assert local(
        one.view(1, -1), torch.cat([place(0.1), place(0)]).view(1, -1)
    ).item() == pytest.approx(0, abs=1e-6)


def test_local_is_the_same_a_few_pairs_at_a_time_and_learns(monkeypatch):
    q, s = torch.randn(2, 3, 5 * DESCRIPTOR), torch.randn(2, 4, 2 * DESCRIPTOR, requires_grad=True)
    full = local(q, s)
    assert full.shape == (2, 3, 4)
    monkeypatch.setattr("mmml.similarity.chunks.CELLS", 1)
    assert torch.allclose(local(q, s), full, atol=1e-6)
    assert torch.autograd.grad(full.sum(), s)[0].abs().sum() > 0


UNITS = [1e-30, 1e-21, 1e-9, 1e9, 1e25, 1e30]


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("name", ["cosine", "local", "euclidean", "dtw"])
def test_units_change_nothing(name, units):
    distance, power = distances.get(name, "d"), 1 if name in ("euclidean", "dtw") else 0
    width = {"local": 128, "dtw": 80}.get(name, 7)
    g = torch.Generator().manual_seed(0)
    q, s = torch.randn(2, 3, width, generator=g), torch.randn(2, 4, width, generator=g)
    torch.testing.assert_close(
        distance(q * units, s * units) / units**power, distance(q, s), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("units", [1e-17, 1e-9, 1e9, 1e17])
def test_units_square_with_the_distance(units):
    q, s = torch.randn(2, 3, 7), torch.randn(2, 4, 7)
    torch.testing.assert_close(
        sqeuclidean(q * units, s * units).double() / units**2,
        sqeuclidean(q, s).double(),
        rtol=1e-5,
        atol=1e-6,
    )


def test_scaling_changes_no_bit():
    x = torch.randn(1000, 33)
    assert torch.equal(unit(x), torch.nn.functional.normalize(x, dim=-1))
    assert torch.equal(unit(torch.zeros(2, 3)), torch.zeros(2, 3))
    exact = torch.cdist(x[:9], x[9:20], compute_mode="donot_use_mm_for_euclid_dist")
    assert torch.equal(euclidean(x[:9], x[9:20]), exact)
    exponents = torch.arange(-126.0, 128.0)
    assert torch.equal(
        power_of_two(torch.exp2(exponents).unsqueeze(-1) * 1.5, (-1,)).squeeze(-1),
        torch.exp2(exponents),
    )


def test_the_gradient_of_a_direction_knows_its_unit():
    x = torch.tensor([[3e-25, 4e-25]], requires_grad=True)
    (gradient,) = torch.autograd.grad(unit(x)[0, 0], x)
    torch.testing.assert_close(
        gradient.double() * 5e-25, torch.tensor([[0.64, -0.48]]).double(), rtol=1e-5, atol=0
    )
