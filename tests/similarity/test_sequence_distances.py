import pytest
import torch

from mmml.similarity import distances
from mmml.similarity.dtw import FRAME

NAN = float("nan")


def get(name):
    return distances.get(name, "method.distance")


def plain_dtw(a, b):
    """Sakoe and Chiba's recursion, cell by cell."""
    a, b = (x.unflatten(-1, (-1, FRAME)) for x in (a, b))
    a, b = a[~a[:, 0].isnan()], b[~b[:, 0].isnan()]
    best = torch.full((len(a) + 1, len(b) + 1), torch.inf, dtype=a.dtype)
    best[0, 0] = 0
    for i in range(len(a)):
        for j in range(len(b)):
            d = (a[i] - b[j]).norm()
            best[i + 1, j + 1] = min(best[i, j] + 2 * d, best[i, j + 1] + d, best[i + 1, j] + d)
    return best[-1, -1] / (len(a) + len(b))


def plain_hausdorff(a, b):
    a, b = (x.view(-1, 2) for x in (a, b))
    d = torch.cdist(a[~a[:, 0].isnan()], b[~b[:, 0].isnan()])
    return max(d.amin(1).mean(), d.amin(0).mean())


def items(shape, size, seed, dtype=torch.float64):
    """Random items of random lengths, NaN after their end; some are as long as can be."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, size, generator=g, dtype=dtype)
    steps = x.shape[-2]
    ends = torch.randint(1, steps + 1, shape[:-1], generator=g)
    return x.masked_fill((torch.arange(steps) >= ends[..., None])[..., None], NAN).flatten(-2)


CASES = [("dtw", FRAME, plain_dtw), ("modified_hausdorff", 2, plain_hausdorff)]


@pytest.mark.parametrize(("name", "size", "plain"), CASES)
def test_it_is_the_plain_formula(name, size, plain):
    q, s = items((2, 3, 6), size, 0), items((2, 4, 9), size, 1)
    expected = torch.stack(
        [torch.stack([torch.stack([plain(a, b) for b in s[i]]) for a in q[i]]) for i in range(2)]
    )
    assert torch.allclose(get(name)(q, s), expected, atol=1e-9)
    assert torch.allclose(get(name)(q.float(), s.float()), expected.float(), atol=1e-3)


@pytest.mark.parametrize(("name", "size", "plain"), CASES)
def test_a_single_step_is_enough(name, size, plain):
    q, s = torch.zeros(1, 1, size), torch.ones(1, 1, size)
    assert get(name)(q, s).item() == pytest.approx(size**0.5, rel=1e-5)


@pytest.mark.parametrize(("name", "size", "plain"), CASES)
@pytest.mark.parametrize("cells", [1, 60, 500])
def test_chunks_change_nothing(monkeypatch, name, size, plain, cells):
    q, s = items((5, 3, 4), size, 2), items((5, 2, 4), size, 3)
    full = get(name)(q, s)
    monkeypatch.setattr("mmml.similarity.chunks.CELLS", cells)
    assert torch.allclose(get(name)(q, s), full, atol=1e-9)


@pytest.mark.parametrize(("name", "size", "plain"), CASES)
def test_padding_changes_nothing(name, size, plain):
    q, s = items((1, 3, 5), size, 4), items((1, 2, 5), size, 5)
    more = torch.nn.functional.pad(q, (0, 3 * size), value=NAN)
    assert torch.allclose(get(name)(more, s), get(name)(q, s), atol=1e-9)


@pytest.mark.parametrize(("name", "size", "plain"), CASES)
def test_any_leading_axes(name, size, plain):
    q, s = items((3, 4), size, 6), items((5, 4), size, 7)
    assert get(name)(q, s).shape == (3, 5)
    assert torch.allclose(get(name)(q[None, None], s[None, None])[0, 0], get(name)(q, s), atol=1e-9)


def test_dtw_forgives_another_speed_and_hausdorff_another_order():
    slow = torch.randn(4, FRAME).repeat_interleave(3, dim=0)
    adapt = slow[::3]
    assert get("dtw")(slow.flatten()[None], adapt.flatten()[None]).item() < 2e-3
    points = torch.randn(9, 2)
    assert (
        get("modified_hausdorff")(points.flatten()[None], points.flip(0).flatten()[None]).item()
        < 2e-3
    )
