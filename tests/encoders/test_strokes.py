import numpy as np
import torch

from mmml.encoders.stroke_transformer import warped
from mmml.encoders.strokes import resampled
from tests.encoders.material import RAGGED, build, objects


def drawing(*strokes):
    rows = [[x, y, 0, k] for k, stroke in enumerate(strokes) for x, y in stroke]
    return np.array(rows, np.float32)


def test_points_are_even_along_the_ink_whatever_the_speed():
    slow = drawing([(x, 0) for x in np.linspace(0, 1, 50) ** 3] + [(1, 1)])
    adapt = drawing([(0, 0), (1, 0), (1, 1)])
    assert torch.allclose(resampled([slow], 21), resampled([adapt], 21), atol=1e-5)
    steps = resampled([adapt], 21)[0, :, :2].diff(dim=0).norm(dim=1)
    # All but at the beginning and around the corner.
    assert ((steps - steps.median()).abs() < 1e-4).sum() >= 17


def test_size_and_place_do_not_matter():
    one = drawing([(0, 0), (1, 0), (1, 3)], [(2, 2), (5, 2)])
    other = one * [7, 7, 1, 1] + [100, -3, 0, 0]
    assert torch.allclose(resampled([one], 16), resampled([other], 16), atol=1e-5)
    points = resampled([one], 16)[0, :, :2]
    assert torch.allclose(points.mean(0), torch.zeros(2), atol=1e-6)
    assert torch.allclose(points.square().sum(1).mean(), torch.ones(()), atol=1e-5)


def test_pen_up_moves_leave_no_points_and_strokes_are_told_apart():
    points = resampled([drawing([(0, 0), (1, 0)], [(0, 5), (1, 5)])], 20)[0]
    assert points[:, 2].sum() == 2 and points[0, 2] == 1
    # Nothing between the two lines.
    assert len(points[:, 1].unique().round(decimals=4).unique()) == 2


def test_a_dot_is_not_lost():
    i = resampled([drawing([(0, 0), (0, 10)], [(0, 12)])], 16)[0]
    assert i[:, 2].sum() == 2
    assert i[-1, 1] > i[:-1, 1].max() or i[-2:, 1].min() > i[:-2, 1].max()


def test_degenerate_drawings_are_finite():
    empty, dot = np.zeros((0, 4), np.float32), drawing([(3, 3)])
    x = resampled(objects([empty, dot, drawing([(1, 1), (1, 1)], [(1, 1)])]), 8)
    assert x.shape == (3, 8, 3) and x.isfinite().all()
    assert torch.equal(x[0], torch.zeros(8, 3))


def test_augmentation_is_for_training_and_small():
    encoder = build("stroke_transformer", augment=1.0)
    calm = encoder.eval().prepare(RAGGED["strokes"])
    assert torch.equal(calm, encoder.prepare(RAGGED["strokes"]))
    assert not torch.equal(calm, encoder.train().prepare(RAGGED["strokes"]))
    xy = torch.randn(50, 8, 2)
    assert (warped(xy, 1.0) - xy).norm(dim=-1).mean() < 0.5
