import pytest

from mmml.config import Config, ProblemConfig, check_config, check_run
from mmml.config.compose import compose_plain
from mmml.config.folders import conf_dir
from mmml.errors import UserError
from mmml.methods.learned_optimizer.problems import build_solver, problems
from mmml.run import build_learner

FOLDER = conf_dir() / "method" / "algorithm"
PRESETS = {
    "lstm": ("lstm", "first order", "head"),
    "lstm_gradient": ("lstm", "first order", "head"),
    "rnnprop": ("rnnprop", "first order", "head"),
    "meta_lstm": ("meta_lstm", "first order", "head"),
    "maml": ("sgd", "second order", "all"),
    "fomaml": ("sgd", "first order", "all"),
    "meta_sgd": ("learned_lr", "second order", "all"),
    "anil": ("sgd", "second order", "head"),
    "meta_sgd_head": ("learned_lr", "second order", "head"),
    **{
        rule: (rule, "second order", "head")
        for rule in ("sgd", "momentum", "nesterov", "rmsprop", "adam")
    },
}


def compose(*overrides):
    return compose_plain(["method=learned_optimizer", *overrides])


def family_of(config):
    section = {k: v for k, v in config.problem.items() if k not in ("power", "random_scaling")}
    return problems.build_section(section, "problem")


def test_every_preset_is_listed_here():
    assert {p.stem for p in FOLDER.glob("*.yaml")} == set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_what_it_says(name):
    config = check_config(compose(f"method/algorithm={name}"))
    learner, _ = build_learner(config, ["image", "text"])
    described = learner.describe()
    assert (described["update_rule"], described["order"], described["adapt"]) == PRESETS[name]
    assert (
        described["adapted_parameters"] == 129
        if PRESETS[name][2] == "head"
        else described["adapted_parameters"] > 100_000
    )
    assert (described["update_rule_parameters"] > 0) == learner.optimizer.learned


def test_the_default_is_the_lstm_on_names_and_images():
    config = check_config(compose())
    assert (
        config.method["update_rule"]["name"] == "lstm"
        and "image+text:image" in config.episode.train.mappings
    )
    assert build_learner(config, ["image", "text"])[0].predictor_name == "learned_optimizer/lstm"


def test_a_choice_on_the_command_line_wins_over_the_presets():
    assert compose("episode=many_way")["episode"]["train"]["ways"] == 192
    assert compose("method/algorithm=maml", "trainer=default")["trainer"]["meta_batch_size"] == 1


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["method/update_rule=lstmm"],
            r"method/update_rule=lstmm: there is no such choice; did you mean 'lstm'",
        ),
        (["method.adapt=tail"], r"method\.adapt=tail"),
        (["method.transductive=true"], r"method\.transductive=true needs method\.adapt=all"),
        (["method.update_rule.inputs=gradients"], r"method\.update_rule\.inputs=gradients"),
        (["encoder=raw"], "needs embeddings of a known width"),
    ],
)
def test_what_cannot_work_is_refused_at_composition(overrides, message):
    with pytest.raises(UserError, match=message):
        build_learner(check_config(compose(*overrides)), ["image"])


@pytest.mark.parametrize("name", ["quadratic", "mlp_optimization"])
def test_runs_on_problems_leave_aside_what_only_episodes_have(name):
    values = compose_plain([f"experiment={name}"])
    assert "episode" not in values and "task" not in values and "encoder" not in values
    config = check_run(values)
    assert isinstance(config, ProblemConfig) and not isinstance(config, Config)
    build_solver(config.method, family_of(config))
    with pytest.raises(UserError, match="the run is on problems"):
        check_config(values)


def test_a_problem_beside_the_default_groups():
    assert isinstance(check_run(compose("problem=quadratics")), ProblemConfig)
    with pytest.raises(
        UserError, match="problem=quadratics method=metric: there is no method for problems"
    ):
        config = check_run(compose_plain(["problem=quadratics"]))
        build_solver(config.method, family_of(config))
