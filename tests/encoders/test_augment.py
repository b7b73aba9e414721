import pytest
import torch

from mmml.encoders.augment import Augment
from mmml.errors import UserError


def test_elastic_warps_bend_and_change_nothing_else():
    images = torch.zeros(2, 1, 32, 32)
    images[:, :, 15:17] = 1.0  # a level line
    still, bent = (Augment(0.0, elastic=e) for e in (0.0, 0.2))
    assert torch.equal(still(images), images)
    torch.manual_seed(0)
    rows = torch.arange(32.0).view(32, 1)
    heights = (bent(images)[:, 0] * rows).sum(1) / bent(images)[:, 0].sum(1).clamp_min(1e-6)
    assert heights.std(1).min() > 0.2 and not torch.allclose(heights[0], heights[1])
    torch.manual_seed(0)
    plain = Augment(1.0)(images)
    torch.manual_seed(0)
    assert torch.equal(Augment(1.0, elastic=0.0)(images), plain)
    assert torch.equal(bent.eval()(images), images)


def test_in_evaluation_a_view_warps_all_images_alike():
    augment = Augment(1.0).eval()
    images = torch.rand(1, 1, 16, 16).expand(3, -1, -1, -1)
    assert augment(images) is images
    augment.view = 1
    warped = augment(images)
    assert torch.equal(warped[0], warped[2]) and not torch.allclose(warped[0], images[0], atol=0.1)
    augment.view = 2
    assert not torch.allclose(augment(images)[0], warped[0], atol=0.1)


def test_half_of_the_images_are_mirrored_in_training_and_odd_views_in_evaluation():
    augment = Augment(0.0, hflip=True)
    image = torch.arange(9.0).view(1, 1, 3, 3)
    augmented = augment(image.expand(200, -1, -1, -1))
    turned = (augmented == image.flip(-1)).flatten(1).all(1)
    assert (
        torch.equal(augmented[~turned], image.expand(int((~turned).sum()), -1, -1, -1))
        and 70 < turned.sum() < 130
    )
    augment = Augment(1.0, hflip=True).eval()
    views = []
    for augment.view in range(4):
        views.append(augment(image))
    assert torch.equal(views[0], image) and torch.equal(views[1], image.flip(-1))
    assert torch.equal(views[3], views[2].flip(-1)) and not torch.equal(views[2], image)
    plain = Augment(1.0).eval()
    plain.view = 1
    assert torch.equal(views[2], plain(image))


def test_edges_are_darkened_in_half_of_the_images_in_training():
    images = torch.full((400, 3, 8, 8), 0.8)
    images[..., 4:] = 0.2
    augmented = Augment(0.0, edge_darkening=1.0).train()(images)
    darker = (augmented < images - 1e-6).any(1).flatten(1)
    assert 0.4 < darker.any(1).float().mean() < 0.6
    columns = (augmented < images - 1e-6).any(0).any(0).any(0)
    assert columns.tolist() == [False] * 3 + [True] * 2 + [False] * 3  # beside the edge alone
    # Some become nearly black.
    assert augmented.min() >= 0 and 0.05 < augmented[..., 3].min() / 0.8 + 0.05 < 0.2
    assert torch.equal(Augment(0.0, edge_darkening=1.0).eval()(images), images)
    with pytest.raises(UserError, match="encoder.image.edge_darkening=2 must be from 0 to 1"):
        Augment(0.0, edge_darkening=2)
