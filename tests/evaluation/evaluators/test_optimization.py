from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.config.schema import EvaluationConfig
from mmml.errors import UserError
from mmml.evaluation.evaluator import collect_examples, run_evaluators
from mmml.evaluation.evaluators.optimization import Optimization
from mmml.evaluation.examples.curves import curve
from mmml.evaluation.problems import RATIO, ProblemContext
from mmml.methods import Role
from mmml.methods.learned_optimizer.problems import build_solver, problems
from mmml.methods.learned_optimizer.problems.quadratics import QuadraticFamily
from mmml.methods.learned_optimizer.unroll import Unroll
from mmml.methods.learned_optimizer.update_rules.hand_designed import hand_designed
from tests.methods.learned_optimizer.making import OPTIONS, nested

UNROLL = {"inner_steps": 5, "truncation_length": None, "step_loss_weights": "uniform"}
METHOD = {"name": "learned_optimizer"} | nested(OPTIONS | UNROLL)


@pytest.fixture(scope="module")
def family():
    return problems.build_section({"name": "quadratics", "dimensions": 3}, "problem")


@pytest.fixture(scope="module")
def context(family):
    return ProblemContext(
        family,
        {},
        EvaluationConfig(40, 30, 0, [], False, lr_search_episodes=30),
        torch.device("cpu"),
    )


@pytest.fixture(scope="module")
def solver(family):
    torch.manual_seed(0)
    return build_solver(METHOD, family)


def evaluate(context, solver, *horizon_multiples):
    evaluators = [Optimization(list(horizon_multiples))]
    results, players = run_evaluators(solver, None, evaluators, context)
    return results, collect_examples(players, evaluators, context)


@pytest.fixture(scope="module")
def measured(context, solver):
    return evaluate(context, solver, 1, 3)


def test_validation_is_the_loss_after_the_horizon_on_fixed_problems(context, solver, family):
    final = solver.solve(family.draw(range(30), 0, "val", None, torch.device("cpu")), 5)[
        -1
    ].double()
    scores = context.validate(solver)
    assert list(scores) == context.monitors(solver)
    assert scores["val/mean"] == pytest.approx(final.mean().item())
    assert scores["val/objective"] == pytest.approx(final.mean().item()), (
        "at power 1 it is the mean"
    )
    assert scores["val/median"] == pytest.approx(float(np.median(final.numpy())))
    assert not context.metric.higher_is_better and context.validate(solver) == scores


def test_the_objective_is_the_mean_of_training(context, family):
    torch.manual_seed(0)
    solver = build_solver(METHOD, family, power=0.5)
    final = solver.solve(family.draw(range(30), 0, "val", None, torch.device("cpu")), 5)[
        -1
    ].double()
    assert context.validate(solver)["val/objective"] == pytest.approx(
        final.sqrt().mean().square().item(), rel=1e-5
    )


def test_there_are_mean_and_median_of_every_rule_at_every_horizon(measured):
    results, _ = measured
    assert {r.key.predictor.split(",")[0] for r in results} == {
        "lstm",
        "sgd",
        "momentum",
        "nesterov",
        "rmsprop",
        "adam",
    }
    every = {(step, metric) for step in (5, 15) for metric in ("mean loss", "median loss")}
    assert {(r.key.step, r.key.metric) for r in results} == every
    assert [r.baseline for r in results] == [r.key.predictor != "lstm" for r in results]
    for row in results:
        assert row.n == 40 and row.unit == "problems" and not row.higher_is_better
        if row.key.metric == "mean loss":
            assert (
                len(row.scores) == 40
                and row.mean == pytest.approx(row.scores.mean())
                and row.ci95 > 0
            )
        else:
            assert row.ci95 is None


def test_all_rules_start_from_the_same_problems(measured):
    curves = measured[1]["curves"]
    assert len({c["median"][0] for c in curves}) == 1 and len(curves) == 6
    assert (
        curves[0]["name"] == "lstm"
        and curves[0]["steps"][-1] == 15
        and measured[1]["trained_to"] == 5
    )


@pytest.mark.parametrize("wrong", [[], [0], [1.5]])
def test_horizons_are_whole_numbers(wrong):
    with pytest.raises(UserError, match="horizon_multiples=.* a list of positive whole numbers"):
        Optimization(wrong)


def test_a_baselines_rate_is_no_worse_than_its_neighbours(context, solver):
    tuned = context._tuned("adam", solver.unroll)

    def loss(factor):
        rule = type(tuned.optimizer)(tuned.optimizer.inner_lr * factor, 0.9, 0.999)
        other = type(tuned)(rule, "adam", solver.unroll)
        return context.solve(other, "val", 30, 5)[-1].mean()

    assert loss(1) <= min(loss(RATIO), loss(1 / RATIO))
    assert tuned.optimizer.inner_lr != pytest.approx(0.1), "the climb never left its start"


class Held(QuadraticFamily):
    """Quadratics of the validation split alone."""

    def draw(self, numbers, seed, split, samples, device):
        assert split == "val", f"problems of {split} are held back"
        return super().draw(numbers, seed, split, samples, device)


def test_nothing_is_chosen_by_test_problems(context, solver):
    held = replace(context, family=Held(3), options=replace(context.options, episodes=2))
    assert held.validate(solver) == context.validate(solver)
    assert held._tuned("sgd", solver.unroll).variant == context._tuned("sgd", solver.unroll).variant


# A step above a power of ten, two, one below, and one of them.
@pytest.mark.parametrize("exponent", [-7, 2, 3, 8])
def test_a_rate_is_climbed_to_from_both_sides(context, solver, exponent, monkeypatch):
    best = 0.1 * RATIO**exponent

    def far(self, candidate, split, problems, steps):
        return np.array([[abs(np.log(candidate.optimizer.inner_lr / best))]])

    monkeypatch.setattr(ProblemContext, "solve", far)
    assert context._tuned("sgd", solver.unroll).optimizer.inner_lr == pytest.approx(best)


class FixedLosses(torch.nn.Module):
    """Leaves losses of 1, 2 and 9, whatever the problems are."""

    unroll = Unroll(1, None, True, "last", 0.0)
    power = 0.5
    role = Role.LEARNED
    baseline = False
    predictor_name = "fixed"
    optimizer = hand_designed("sgd", 1.0)

    def solve(self, problems, steps):
        return torch.tensor([[9.0, 9, 9]] * steps + [[1.0, 2, 9]])


def test_the_median_is_not_the_mean(context):
    three = replace(
        context, options=replace(context.options, episodes=3, validation_episodes=3, controls=False)
    )
    squared_mean_of_roots = ((1 + 2**0.5 + 3) / 3) ** 2
    assert list(three.validate(FixedLosses()).values()) == pytest.approx(
        [4, 2, squared_mean_of_roots]
    )
    results, _ = evaluate(three, FixedLosses(), 1)
    assert [(r.key.metric, r.mean) for r in results] == [("mean loss", 4.0), ("median loss", 2.0)]


def test_chunks_make_no_difference(context, solver, monkeypatch):
    full = context.solve(solver, "test", 10, 4)
    monkeypatch.setattr(type(solver.optimizer), "coordinates", 9)
    assert np.allclose(context.solve(solver, "test", 10, 4), full, rtol=1e-4)


def test_without_controls_the_solver_stands_alone(context, solver):
    alone = replace(context, options=replace(context.options, episodes=5, controls=False))
    assert {r.key.predictor for r in evaluate(alone, solver, 1)[0]} == {"lstm"}


def test_a_curve_is_median_and_quartiles():
    shown = curve("x", np.array([[0.0, 1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 5.0, 5.0, 9.0]]))
    assert shown == {
        "name": "x",
        "steps": [0, 1],
        "low": [1.0, 5.0],
        "median": [2.0, 5.0],
        "high": [3.0, 5.0],
    }
    assert len(curve("x", np.zeros((1001, 2)))["steps"]) == 200
