"""What is chosen together: each experiment by both methods, each dataset by its name alone,
and which of them wins.
"""

import re

import pytest
from hydra import compose, initialize_config_dir

from mmml.cli.help import help_text
from mmml.config.compose import compose_plain
from mmml.config.folders import conf_dir
from mmml.config.schema import Config, check_run
from mmml.data.base import datasets
from mmml.episodes.mapping import Mapping
from mmml.episodes.setup import check_mappings, eval_shapes
from mmml.errors import UserError
from mmml.methods.learned_optimizer.problems import build_solver, problems
from mmml.run import build_learner, modalities_of
from mmml.tasks import tasks
from tests.data.making import draw

METHODS = ["metric", "learned_optimizer"]
EXPERIMENTS = sorted(p.stem for p in (conf_dir() / "experiment").glob("*.yaml"))
DATASETS = sorted(p.stem for p in (conf_dir() / "dataset").glob("*.yaml"))
RULES = sorted(p.stem for p in (conf_dir() / "method" / "update_rule").glob("*.yaml"))


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_DATA", str(tmp_path))


def check(*overrides: str) -> None:
    """Build all that a run is made of, but what needs its data."""
    config = check_run(compose_plain(overrides))
    if not isinstance(config, Config):
        options = {k: v for k, v in config.problem.items() if k not in ("power", "random_scaling")}
        build_solver(config.method, problems.build_section(options, "problem"))
        return
    dataset = datasets.build_section(config.dataset, "dataset")
    task = tasks.build_section(config.task, "task")
    task.check_dataset(dataset)
    mappings = check_mappings(config.episode, dataset, trains=True)
    task.check(config.episode)
    task.check_mappings(mappings, dataset.modalities)
    learner, _ = build_learner(config, modalities_of(config), task)
    learner.check_training([Mapping.parse(m) for m in config.episode.train.mappings])
    learner.check_shapes(eval_shapes(config.episode.eval))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_is_one_of_every_method(experiment, method):
    chosen = [f"experiment={experiment}", f"method={method}"]
    file = conf_dir() / "experiment" / f"{experiment}.yaml"
    if method == "metric" and "override /problem:" in file.read_text():
        with pytest.raises(
            UserError, match=r"problem=\w+ method=metric: there is no method for problems"
        ):
            check(*chosen)
    else:
        check(*chosen)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", DATASETS)
def test_every_dataset_brings_task_episodes_and_mappings(name, method, tmp_path):
    own = []
    if name == "manifest":
        for number in range(4):
            draw(tmp_path / "a" / f"{number}.png", seed=number)
        own = [f"dataset.root={tmp_path}"]
    check(f"dataset={name}", f"method={method}", *own)


LEVELS = {
    "dataset/d": "{train: {shots: 2, queries: 2}, eval: {queries: 2}, group_disjoint: true}",
    "method/algorithm/a": "{train: {shots: 3, queries: 3}, eval: {queries: 3}}",
    "experiment/e": "{train: {shots: 4, queries: 4}}",
    "experiment/method/e/learned_optimizer": "{train: {shots: 5}}",
}


def test_each_wins_over_the_next(tmp_path):
    """Command line > what a method needs in an experiment > experiment > preset > dataset > the
    chosen episode.
    """
    for name, episode in LEVELS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        dataset = "dataset: {name: glyphs}\n" if name == "dataset/d" else ""
        (tmp_path / f"{name}.yaml").write_text(
            f"# @package _global_\n{dataset}episode: {episode}\n"
        )

    def chosen(*overrides: str) -> list[int]:
        with initialize_config_dir(str(conf_dir()), version_base="1.3"):
            episode = compose("train", [f"hydra.searchpath=[{tmp_path}]", *overrides]).episode
        return [
            episode.train.ways,
            episode.group_disjoint,
            episode.eval.queries,
            episode.train.queries,
            episode.train.shots,
        ]

    typed = [
        "dataset=d",
        "method=learned_optimizer",
        "method/algorithm=a",
        "experiment=e",
        "episode.train.shots=6",
    ]
    assert chosen() == [192, False, 5, 1, 1]
    assert chosen(typed[0]) == [192, True, 2, 2, 2]
    assert chosen(*typed[:3]) == [192, True, 3, 3, 3]
    # The metric method sets nothing for this experiment.
    assert chosen(typed[0], typed[3]) == [192, True, 2, 4, 4]
    assert chosen(*typed[:4]) == [192, True, 3, 4, 5]
    assert chosen(*typed) == [192, True, 3, 4, 6]
    assert chosen(*typed, "episode.train.ways=7", "episode.eval.queries=7")[::2] == [7, 7, 6]


def test_of_choices_too_each_wins_over_the_next():
    def ways(*overrides: str) -> int:
        return compose_plain(list(overrides))["episode"]["train"]["ways"]

    assert (ways(), ways("dataset=sinusoid")) == (192, 1)  # episode=many_way, regression
    # many_way_fused
    assert ways("dataset=sinusoid", "task=classification", "method=learned_optimizer") == 64
    assert ways("experiment=sinusoid") == 1  # over episode=five_way of method/algorithm=maml
    assert ways("experiment=sinusoid", "episode=standard") == 20


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("experiment", ["quadratic", "sinusoid"])
def test_an_experiment_takes_any_update_rule(experiment, rule):
    chosen = [f"experiment={experiment}", "method=learned_optimizer", f"method/update_rule={rule}"]
    try:
        check(*chosen)
    except UserError as error:  # a rule that learns nothing is no rule for problems
        assert re.match(rf"method/update_rule={rule} has nothing to learn on problem=", str(error))
        assert experiment == "quadratic"


def test_options_for_another_part_are_left_out_and_what_is_typed_is_not():
    quadratic = ["experiment=quadratic", "method/update_rule=learned_lr"]
    assert compose_plain(quadratic)["method"]["update_rule"] == {
        "name": "learned_lr",
        "inner_lr": 0.1,
    }
    assert compose_plain([*quadratic[:1], "method/update_rule=rnnprop"])["method"]["update_rule"][
        "inputs"
    ] == ("gradient+moments+loss")
    assert (
        compose_plain([*quadratic, "method.update_rule.inputs=loss"])["method"]["update_rule"][
            "inputs"
        ]
        == "loss"
    )
    image = compose_plain(
        ["experiment=emoji", "method=learned_optimizer", "encoder/image=resnet12"]
    )["encoder"]["image"]
    assert (image["name"], image["size"], image["colour"]) == (
        "resnet12",
        64,
        True,
    ) and "elastic" not in image


def test_what_is_chosen_as_null_brings_no_section():
    values = compose_plain(["experiment=mlp_optimization"])  # its dataset has mappings
    assert values["dataset"]["name"] == "glyphs" and "episode" not in values


def test_overrides_are_recorded_as_typed():
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        hydra = compose("train", ["experiment=sinusoid", "seed=3"], return_hydra_config=True).hydra
    assert list(hydra.overrides.task) == ["experiment=sinusoid", "seed=3"]
    assert hydra.runtime.choices["experiment/method"] == "sinusoid/learned_optimizer"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "experiment", ["smoke", "emoji", "sinusoid", "captioning_topics", "translation"]
)
def test_help_marks_what_hydra_chooses(experiment, method):
    typed = [f"experiment={experiment}", f"method={method}"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        choices = compose("train", typed, return_hydra_config=True).hydra.runtime.choices
    head = help_text(typed).partition("Options (key=value)")[0]
    marked = dict(re.findall(r"^  ([\w/]+)=.*?(\w+)\*", head, re.MULTILINE))
    assert marked == {
        k: v for k, v in choices.items() if k.partition("@")[0] in marked and "hydra" not in k
    }


def test_every_pair_is_one_of_choices_that_there_are():
    groups = ["method/dataset", "method/task", "experiment/method"]
    for group in groups:
        first, second = group.split("/")
        for file in (conf_dir() / group).glob("*/*.yaml"):
            names = {first: file.parent.name, second: file.stem}
            assert all((conf_dir() / g / f"{n}.yaml").is_file() for g, n in names.items()), file
    assert all(f"  - {group}: null" in (conf_dir() / "train.yaml").read_text() for group in groups)
