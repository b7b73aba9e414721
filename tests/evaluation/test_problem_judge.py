from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.config.schema import EvaluationConfig
from mmml.evaluation.controls import curve
from mmml.evaluation.problems import RATIO, ProblemJudge
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
def judge(family):
    options = EvaluationConfig(40, 30, 0, False, [], False, lr_search_episodes=30, horizon_multiples=[1, 3])
    return ProblemJudge(family, {}, options, torch.device("cpu"))


@pytest.fixture(scope="module")
def solver(family):
    torch.manual_seed(0)
    return build_solver(METHOD, family)


@pytest.fixture(scope="module")
def judged(judge, solver):
    return judge.judge(solver, None)


def test_validation_is_the_loss_after_the_horizon_on_fixed_problems(judge, solver, family):
    final = solver.solve(family.draw(range(30), 0, "val", None, torch.device("cpu")), 5)[-1].double()
    scores = judge.validate(solver)
    assert list(scores) == judge.monitors(solver)
    assert scores["val/mean"] == pytest.approx(final.mean().item())
    assert scores["val/objective"] == pytest.approx(final.mean().item()), "at power 1 it is the mean"
    assert scores["val/median"] == pytest.approx(float(np.median(final.numpy())))
    assert not judge.metric.higher_is_better and judge.validate(solver) == scores


def test_the_objective_is_the_mean_of_training(judge, family):
    torch.manual_seed(0)
    solver = build_solver(METHOD, family, power=0.5)
    final = solver.solve(family.draw(range(30), 0, "val", None, torch.device("cpu")), 5)[-1].double()
    assert judge.validate(solver)["val/objective"] == pytest.approx(final.sqrt().mean().square().item(), rel=1e-5)


def test_the_panel_has_mean_and_median_of_every_rule_at_every_horizon(judged):
    panel, _ = judged
    names = {c.predictor.split(",")[0] for c in panel.cells}
    assert names == {"lstm", "sgd", "momentum", "nesterov", "rmsprop", "adam"}
    assert {(c.step, c.metric) for c in panel.cells} == {(s, m) for s in (5, 15) for m in ("mean loss", "median loss")}
    assert [c.baseline for c in panel.cells] == [c.predictor != "lstm" for c in panel.cells]
    for cell, scores in zip(panel.cells, panel.scores, strict=True):
        assert cell.episodes == 40 and not cell.higher_is_better
        if cell.metric == "mean loss":
            assert len(scores) == 40 and cell.mean == pytest.approx(scores.mean()) and cell.ci95 > 0
        else:
            assert cell.ci95 is None


def test_all_rules_start_from_the_same_problems(judged):
    curves = judged[1]["curves"]
    assert len({c["median"][0] for c in curves}) == 1
    assert curves[0]["name"] == "lstm" and curves[0]["steps"][-1] == 15 and judged[1]["trained_to"] == 5


def test_a_baselines_rate_is_no_worse_than_its_neighbours(judge, solver):
    tuned = judge._tuned("adam", solver.unroll)

    def loss(factor):
        rule = type(tuned.optimizer)(tuned.optimizer.inner_lr * factor, 0.9, 0.999)
        other = type(tuned)(rule, "adam", solver.unroll)
        return judge._solve(other, "val", 30, 5)[-1].mean()

    assert loss(1) <= min(loss(RATIO), loss(1 / RATIO))
    assert tuned.optimizer.inner_lr != pytest.approx(0.1), "the climb never left its start"


class Held(QuadraticFamily):
    """Quadratics of the validation split alone."""

    def draw(self, numbers, seed, split, samples, device):
        assert split == "val", f"problems of {split} are held back"
        return super().draw(numbers, seed, split, samples, device)


def test_nothing_is_chosen_by_test_problems(judge, solver):
    held = replace(judge, family=Held(3), options=replace(judge.options, episodes=2))
    assert held.validate(solver) == judge.validate(solver)
    assert held._tuned("sgd", solver.unroll).variant == judge._tuned("sgd", solver.unroll).variant


@pytest.mark.parametrize("exponent", [-7, 2, 3, 8])  # a step above a power of ten, two, one below, and one of them
def test_a_rate_is_climbed_to_from_both_sides(judge, solver, exponent, monkeypatch):
    best = 0.1 * RATIO**exponent

    def far(self, candidate, split, problems, steps):
        return np.array([[abs(np.log(candidate.optimizer.inner_lr / best))]])

    monkeypatch.setattr(ProblemJudge, "_solve", far)
    assert judge._tuned("sgd", solver.unroll).optimizer.inner_lr == pytest.approx(best)


class Told:
    """Leaves losses of 1, 2 and 9, whatever it is asked to solve."""

    unroll, power, role, baseline, predictor_name = Unroll(1, None, True, "last", 0.0), 0.5, Role.LEARNED, False, "told"
    optimizer = hand_designed("sgd", 1.0)

    def solve(self, problems, steps):
        return torch.tensor([[9.0, 9, 9]] * steps + [[1.0, 2, 9]])


def test_the_median_is_not_the_mean(judge):
    three = replace(
        judge, options=replace(judge.options, episodes=3, validation_episodes=3, controls=False, horizon_multiples=[1])
    )
    squared_mean_of_roots = ((1 + 2**0.5 + 3) / 3) ** 2
    assert list(three.validate(Told()).values()) == pytest.approx([4, 2, squared_mean_of_roots])
    panel, _ = three.judge(Told(), None)
    assert [(c.metric, c.mean) for c in panel.cells] == [("mean loss", 4.0), ("median loss", 2.0)]


def test_chunks_make_no_difference(judge, solver, monkeypatch):
    whole = judge._solve(solver, "test", 10, 4)
    monkeypatch.setattr(type(solver.optimizer), "coordinates", 9)
    assert np.allclose(judge._solve(solver, "test", 10, 4), whole, rtol=1e-4)


def test_without_rivals_the_solver_stands_alone(judge, solver, family):
    options = EvaluationConfig(5, 5, 0, False, [], False, controls=False)
    panel, _ = ProblemJudge(family, {}, options, torch.device("cpu")).judge(solver, None)
    assert {c.predictor for c in panel.cells} == {"lstm"}


def test_a_curve_is_median_and_quartiles():
    shown = curve("x", np.array([[0.0, 1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 5.0, 5.0, 9.0]]))
    assert shown == {"name": "x", "steps": [0, 1], "low": [1.0, 5.0], "median": [2.0, 5.0], "high": [3.0, 5.0]}
    assert len(curve("x", np.zeros((1001, 2)))["steps"]) == 200
