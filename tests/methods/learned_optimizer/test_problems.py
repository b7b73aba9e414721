import pytest
import torch

from mmml.errors import TrainingError, UserError
from mmml.methods.learned_optimizer.problems import build_solver, problems
from mmml.methods.learned_optimizer.problems.quadratics import Quadratics
from mmml.methods.learned_optimizer.unroll import descend, start
from tests.methods.learned_optimizer.making import OPTIONS, nested

CPU = torch.device("cpu")
MLP = {
    "name": "mlp",
    "ways": 3,
    "samples": 4,
    "size": 6,
    "hidden": 5,
    "activation": "sigmoid",
    "batch": 7,
}


def quadratics():
    return problems.build_section({"name": "quadratics", "dimensions": 4}, "problem")


def perceptrons(**options):
    return problems.build_section(MLP | options, "problem")


def method(**options):
    unroll = {"inner_steps": 6, "truncation_length": 3, "step_loss_weights": "uniform"}
    return {"name": "learned_optimizer"} | nested(OPTIONS | unroll | options)


def test_a_quadratic_by_hand():
    w = torch.tensor([[[1.0, 2.0], [0.0, 1.0]]])
    problem = Quadratics(w, torch.tensor([[1.0, 3.0]]), torch.tensor([[1.0, 1.0]]))
    # W θ − y = (3 − 1, 1 − 3)
    assert problem.losses(problem.initial(), 0).tolist() == [8.0]


def test_problem_i_depends_on_its_number_the_seed_and_the_split_alone():
    family = quadratics()
    many = family.draw(range(5), 0, "test", None, CPU)
    one = family.draw([3], 0, "test", None, CPU)
    assert torch.equal(many.weights[3], one.weights[0]) and torch.equal(many.start[3], one.start[0])
    for other in (family.draw([3], 1, "test", None, CPU), family.draw([3], 0, "val", None, CPU)):
        assert not torch.equal(other.weights, one.weights)


def test_quadratics_are_standard_normal():
    drawn = problems.build_section({"name": "quadratics", "dimensions": 10}, "problem").draw(
        range(300), 0, "train", None, CPU
    )
    for part in (drawn.weights, drawn.targets, drawn.start):
        assert abs(part.mean()) < 0.05 and abs(part.std() - 1) < 0.05


def test_perceptrons_by_hand(samples):
    family = perceptrons()
    problem = family.draw([0, 1], 0, "train", samples, CPU)
    params = problem.initial()
    assert {n: tuple(p.shape) for n, p in params.items()} == {
        "w1": (2, 5, 36),
        "b1": (2, 5),
        "w2": (2, 3, 5),
        "b2": (2, 3),
    }
    rows = problem.rows(4)
    for b in range(2):
        x, y = problem.images[b, rows[b]], problem.labels[b, rows[b]]
        hidden = torch.sigmoid(x @ params["w1"][b].T + params["b1"][b])
        expected = torch.nn.functional.cross_entropy(
            hidden @ params["w2"][b].T + params["b2"][b], y
        )
        assert torch.isclose(problem.losses(params, 4)[b], expected)


def test_perceptrons_see_other_minibatches_at_each_step_and_the_same_again(samples):
    family = perceptrons()
    first, again = (family.draw([0, 1], 0, "train", samples, CPU) for _ in range(2))
    alone = family.draw([1], 0, "train", samples, CPU)
    assert torch.equal(first.rows(2), again.rows(2)) and not torch.equal(
        first.rows(2), first.rows(3)
    )
    assert torch.equal(alone.rows(2)[0], first.rows(2)[1]) and torch.equal(
        alone.images[0], first.images[1]
    )
    assert torch.equal(alone.initial()["w1"][0], first.initial()["w1"][1])
    assert first.initial()["w1"].std() < 0.02


def test_perceptrons_of_another_seed_or_split_are_others(samples):
    """In their images, their start and their minibatches."""
    family = perceptrons(samples=12)
    own, *others = (
        family.draw([3], seed, split, samples, CPU)
        for seed, split in ((0, "val"), (1, "val"), (0, "test"))
    )
    for other in others:
        assert not torch.equal(other.images, own.images) and not torch.equal(
            other.rows(0), own.rows(0)
        )
        assert not torch.equal(other.initial()["w1"], own.initial()["w1"])


def test_weights_targets_and_start_are_drawn_apart():
    drawn = quadratics().draw(range(3), 0, "train", None, CPU)
    columns = torch.cat(
        [drawn.weights, drawn.targets.unsqueeze(-1), drawn.start.unsqueeze(-1)], dim=-1
    )
    assert columns.shape == (3, 4, 6) and columns.unique().numel() == columns.numel()


def test_a_problem_that_no_split_can_fill_is_refused(samples):
    with pytest.raises(UserError, match=r"problem\.ways=60"):
        perceptrons(ways=60).check(samples, "val")
    with pytest.raises(UserError, match="problem: shots=40"):
        perceptrons(samples=40).check(samples, "train")
    with pytest.raises(UserError, match=r"problem\.activation=step"):
        perceptrons(activation="step")


def test_units_change_nothing_but_the_numbers():
    problem = quadratics().draw(range(3), 0, "train", None, CPU)
    factors = {"theta": torch.tensor([0.1, 1.0, 5.0, 2.0]).expand(3, -1)}
    scaled = problem.scaled(factors)
    assert torch.allclose(scaled.initial()["theta"] * factors["theta"], problem.start)
    assert torch.allclose(
        scaled.losses(scaled.initial(), 0), problem.losses(problem.initial(), 0), rtol=1e-4
    )


def test_solving_is_descending(samples):
    solver = build_solver(method(), quadratics())
    problem = quadratics().draw(range(3), 0, "train", None, CPU)
    curve = solver.solve(problem, 6)
    met, point = [], start(problem.initial(), solver.optimizer)
    for reached, loss in descend(problem.losses, point, solver.optimizer, range(6), 1):
        met.append(loss)
        point = reached
    assert curve.shape == (7, 3) and not curve.requires_grad
    assert torch.allclose(curve, torch.stack([*met, problem.losses(point.params, 6)]).detach())


def test_training_pieces_are_the_logarithm_of_the_mean_after_each_step():
    family = quadratics()
    problem = family.draw(range(3), 0, "train", None, CPU)
    solver = build_solver(method(), family)
    with torch.no_grad():
        curve = solver.solve(problem, 6).mean(1)
    pieces = [loss.item() for loss in solver.losses(problem, 1.0)]  # nothing is learned in between
    assert pieces == pytest.approx(
        [curve[1:4].mean().log().item(), curve[4:7].mean().log().item()], rel=1e-4
    )


def test_the_end_of_a_piece_is_judged_on_the_next_minibatch(samples):
    """As it is where the search is not cut into pieces, and in evaluation."""
    family = perceptrons(hidden=2)
    problem, solver = family.draw([0, 1], 0, "train", samples, CPU), build_solver(method(), family)
    with torch.no_grad():
        curve = solver.solve(problem, 6).mean(1)
    pieces = [loss.item() for loss in solver.losses(problem, 1.0)]
    assert pieces == pytest.approx(
        [curve[1:4].mean().log().item(), curve[4:7].mean().log().item()], rel=1e-6
    )
    assert (
        problem.losses(problem.initial(), 3).tolist()
        != problem.losses(problem.initial(), 2).tolist()
    )


def test_a_rule_learns_to_minimise_quadratics():
    torch.manual_seed(0)
    family = quadratics()
    solver = build_solver(method(inner_steps=10, truncation_length=5), family)
    held_out = family.draw(range(50), 0, "val", None, CPU)
    before = solver.solve(held_out, 10)[-1].mean()
    optimizer = torch.optim.Adam(solver.parameters(), 1e-2)
    for step in range(40):
        for loss in solver.losses(
            family.draw(range(32 * step, 32 * step + 32), 0, "train", None, CPU), 1.0
        ):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert solver.solve(held_out, 10)[-1].mean() < 0.5 * before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"update_rule": "adam"},
            r"method/update_rule=adam has nothing to learn on problem=quadratics",
        ),
        ({"name": "metric"}, "problem=quadratics method=metric: there is no method for problems"),
        ({"rool": 1}, "method.update_rule.rool: update rule .* has no such option"),
        ({"truncation_length": 7}, r"method\.truncation_length=7"),
    ],
)
def test_what_cannot_work_is_refused(options, message):
    with pytest.raises(UserError, match=message):
        build_solver(method(**options), quadratics())


@pytest.mark.parametrize(
    ("option", "value"), [("power", 0.0), ("power", 1.5), ("random_scaling", -1.0)]
)
def test_how_problems_are_trained_on_is_checked(option, value):
    with pytest.raises(UserError, match=rf"problem\.{option}={value}"):
        build_solver(method(), quadratics(), **{option: value})


def test_the_mean_over_problems_has_a_power():
    problem = quadratics().draw(range(3), 0, "train", None, CPU)
    solver = build_solver(method(truncation_length=None), quadratics(), power=0.5)
    curve = solver.solve(problem, 6)[1:]
    (loss,) = solver.losses(problem, 1.0)
    assert loss.item() == pytest.approx(2 * curve.sqrt().mean(1).mean().log().item(), rel=1e-4)


def test_a_missing_option_is_named():
    section = method()
    del section["truncation_length"]
    with pytest.raises(UserError, match=r"method\.truncation_length is missing"):
        build_solver(section, quadratics())


def test_a_problem_that_diverges_is_reported():
    solver = build_solver(method(update_rule="learned_lr", inner_lr=1e30), quadratics())
    with pytest.raises(TrainingError, match=r"task \d+ diverged: its loss is \w+ before step \d"):
        for _ in solver.losses(quadratics().draw(range(2), 0, "train", None, CPU), 1.0):
            pass


def test_random_units_are_drawn_anew_and_in_training_only():
    family = quadratics()
    problem = family.draw(range(2), 0, "train", None, CPU)
    solver = build_solver(method(), family, random_scaling=2.0)
    first, second = (next(iter(solver.losses(problem, 1.0))).item() for _ in range(2))
    assert first != second
    assert torch.equal(solver.solve(problem, 3), solver.solve(problem, 3))


def test_random_units_are_even_about_one():
    units = (
        build_solver(method(), quadratics(), random_scaling=2.0)
        ._units({"x": torch.zeros(100, 100)})["x"]
        .log()
    )
    assert abs(units.mean()) < 0.1 and -2 <= units.min() < -1.9 and 1.9 < units.max() <= 2


def test_every_rule_runs_on_problems():
    family = quadratics()
    for name in ("learned_lr", "lstm", "rnnprop", "meta_lstm"):
        options = {"inputs": "gradient+loss"} if name == "meta_lstm" else {}
        solver = build_solver(method(update_rule=name, **options), family)
        for loss in solver.losses(family.draw(range(2), 0, "train", None, CPU), 1.0):
            loss.backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in solver.parameters())
