import math

import numpy as np
import pytest
import torch

from mmml.evaluation.calibration import (
    COLDEST,
    HOTTEST,
    doubt,
    fit_rescaling,
    fit_temperature,
    rescale,
)


def sampled(n=20_000, ways=5, seed=0):
    """Log-probabilities and targets that were drawn from them: perfectly calibrated."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, ways)) * 2
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    targets = (np.exp(logs).cumsum(-1) < rng.random((n, 1))).sum(-1)
    return logs, targets


def loss(logs, targets):
    return -np.take_along_axis(logs, targets[:, None], -1).mean()


@pytest.mark.parametrize("factor", [0.2, 1.0, 7.0])
def test_the_temperature_of_overconfident_predictions_is_found(factor):
    logs, targets = sampled()
    assert fit_temperature(logs * factor, targets) == pytest.approx(factor, rel=0.05)


def test_the_temperature_is_the_best_of_a_grid():
    logs, targets = sampled(500)
    logs *= 3
    grid = np.geomspace(0.5, 20, 400)
    losses = [loss(rescale(torch.from_numpy(logs), t).numpy(), targets) for t in grid]
    assert fit_temperature(logs, targets) == pytest.approx(grid[int(np.argmin(losses))], rel=0.01)


def test_predictions_that_are_always_right_have_a_finite_temperature():
    logs = np.log([[0.9, 0.1], [0.2, 0.8]])
    assert fit_temperature(logs, np.array([0, 1])) == COLDEST
    assert fit_temperature(logs, np.array([1, 0])) == HOTTEST
    assert np.isfinite(fit_rescaling(logs, np.array([0, 1]))).all()
    assert np.isfinite(fit_rescaling(logs, np.array([1, 0]))).all()


def test_right_predictions_alone_never_make_certainty():
    logs = np.log(np.tile([[0.9, 0.1], [0.2, 0.8]], (50, 1)))
    right = np.tile([0, 1], 50)
    temperature, slope = fit_rescaling(logs, right)
    believed = rescale(torch.from_numpy(logs), temperature, slope).exp().amax(-1)
    assert temperature > COLDEST and 0.95 < believed.min() < believed.max() < 1 - 1e-6


def test_no_weight_at_all_is_finite_too():
    logs = np.array([[0.0, -np.inf], [-np.inf, 0.0], [0.0, -np.inf]])
    assert 1 < fit_temperature(logs, np.array([0, 1, 1])) <= HOTTEST
    assert torch.isfinite(rescale(torch.tensor(logs), 2.0, 0.5)).all()


def test_where_nothing_differs_nothing_changes():
    assert fit_temperature(np.log(np.full((3, 4), 0.25)), np.array([0, 1, 2])) == 1.0


def test_one_temperature_is_a_slope_of_zero():
    logs, targets = sampled()
    temperature, slope = fit_rescaling(logs * 3, targets)
    assert rescale(torch.from_numpy(logs * 3), 3.0).numpy() == pytest.approx(logs)
    assert slope < 0.05 and temperature == pytest.approx(3, rel=0.1)


def test_sure_predictions_may_be_cooled_more_than_doubtful_ones():
    given, _ = sampled()
    # Where rescale(·, 2, 0.5) is the truth, the two are found, and they are better than one.
    truth = rescale(torch.from_numpy(given), 2.0, 0.5).exp().numpy()
    targets = (truth.cumsum(-1) < np.random.default_rng(1).random((len(truth), 1))).sum(-1)
    temperature, slope = fit_rescaling(given, targets)
    assert temperature == pytest.approx(2, rel=0.05) and slope == pytest.approx(0.5, abs=0.05)
    one, two = (
        rescale(torch.from_numpy(given), *t)
        for t in ((fit_temperature(given, targets),), (temperature, slope))
    )
    assert loss(two.numpy(), targets) < loss(one.numpy(), targets) - 0.001


def test_the_order_of_classes_stays():
    logs = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]).log()
    for temperature, slope in ((0.1, 0.0), (3.0, 1.5)):
        got = rescale(logs, temperature, slope)
        assert torch.equal(got.argsort(dim=-1, stable=True), logs.argsort(dim=-1, stable=True))
        assert got.exp().sum(-1).tolist() == pytest.approx([1, 1])


def test_doubt_is_between_a_tenth_and_one():
    logs = torch.tensor([[0.25] * 4, [1.0, 0.0, 0.0, 0.0]]).log().clamp_min(-80)
    assert doubt(logs).tolist() == pytest.approx([1.0, 0.1])
    half = torch.tensor([[0.5, 0.5, 0.0, 0.0]]).log().clamp_min(-80)
    assert doubt(half).item() == pytest.approx(math.log(2) / math.log(4))


def test_predictions_that_diverged_are_left_out_of_the_fit():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(200, 3)) * 3
    logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
    targets = np.where(rng.random(200) < 0.6, logits.argmax(-1), rng.integers(3, size=200))
    with_holes, more = np.vstack([logits, np.full((5, 3), np.nan)]), np.append(targets, [0] * 5)
    assert fit_temperature(with_holes, more) == fit_temperature(logits, targets)
    assert fit_rescaling(with_holes, more) == fit_rescaling(logits, targets)
    assert fit_rescaling(np.full((4, 3), np.nan), np.zeros(4, int)) == (1.0, 0.0)
