import copy
import re

import pytest

from mmml.config import check_config
from mmml.config.compose import compose_plain, dotted_keys
from mmml.config.folders import conf_dir
from mmml.errors import UserError

PLAIN = compose_plain([])


def changed(key, value):
    plain = copy.deepcopy(PLAIN)
    *sections, last = key.split(".")
    node = plain
    for section in sections:
        node = node[section]
    node[last] = value
    return plain


def test_the_defaults_are_valid():
    config = check_config(PLAIN)
    assert (
        config.seed == 0
        and config.episode.eval.ways == [5, 20]
        and config.dataset["name"] == "glyphs"
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "episode.eval.ways",
            -1,
            "episode.eval.ways=-1 must be a positive whole number, or a list",
        ),
        ("episode.eval.ways", [5, "x"], "episode.eval.ways="),
        ("episode.eval.shots", [], "episode.eval.shots=\\[\\] must"),
        ("episode.eval.queries", 0, "episode.eval.queries=0 must be a positive"),
        ("episode.train.ways", {"min": 6, "max": 5}, "a range {min: a, max: b}"),
        ("episode.train.shots", 1.5, "episode.train.shots=1.5 must"),
        ("episode.train.shots", True, "episode.train.shots=True must"),
        ("episode.train.mappings", [], "at least one mapping"),
        ("trainer.steps", 0, "trainer.steps=0 must be a positive"),
        ("trainer.steps", "many", "trainer.steps: .*many"),
        ("trainer.lr", float("nan"), "trainer.lr=nan must be a positive number"),
        ("trainer.lr", -1, "trainer.lr=-1.0 must"),
        ("trainer.grad_clip_norm", 0, "trainer.grad_clip_norm=0.0 must"),
        ("trainer.warmup", -1, "trainer.warmup=-1 must"),
        ("trainer.precision", "fp8", "trainer.precision=fp8 must be auto, fp32 or bf16"),
        ("trainer.channels_last", "yes please", "trainer.channels_last=yes please must"),
        ("evaluation.episodes", 1, "evaluation.episodes=1 must be 2 or more"),
        ("evaluation.independence_check", "flase", "evaluation.independence_check: .*flase"),
        ("evaluation.seed", -1, "evaluation.seed=-1"),
        (
            "evaluation.robustness",
            {"side": "both"},
            "no such evaluator is chosen: add robustness to evaluation/eval",
        ),
        ("seed", -3, "seed=-3 must be from 0"),
        ("episode.train.class_range", [0.5, 0.5], "a smaller and a larger fraction"),
        ("episode.train.class_range", [0.5, 1.5], "a smaller and a larger fraction"),
        (
            "episode.train.task_augmentation",
            1.5,
            "episode.train.task_augmentation=1.5 must be from 0 to 1",
        ),
        ("episode.eval.mappings", ["image:image", "image:image"], "names no mapping twice"),
        ("evaluation.lr_search_episodes", 1, "evaluation.lr_search_episodes=1 must be 2 or more"),
        ("seed", 2**63, "seed=.* must be from 0"),
        ("trainer.step", 3, "trainer.step is no option; did you mean 'trainer.steps'"),
    ],
)
def test_refuses_with_the_option_named(key, value, message):
    with pytest.raises(UserError, match=message):
        check_config(changed(key, value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("episode.train.ways", {"min": 5, "max": 5}),
        ("episode.train.class_range", [0, 1]),
        ("episode.train.task_augmentation", 1),
        ("evaluation.episodes", 2),
        ("evaluation.lr_search_episodes", 0),
        ("trainer.warmup", 0),
        ("trainer.weight_decay", 0),
        ("seed", 2**63 - 1),
    ],
)
def test_the_ends_of_a_range_are_allowed(key, value):
    config = check_config(changed(key, value))
    for part in key.split("."):
        config = getattr(config, part)
    assert config == value


def test_false_is_false_and_lists_are_sorted():
    config = check_config(changed("evaluation.controls", False))
    assert config.evaluation.controls is False
    assert check_config(changed("episode.eval.ways", [20, 5, 5])).episode.eval.ways == [5, 20]
    assert check_config(changed("episode.eval.ways", 20)).episode.eval.ways == [20]


def test_every_yaml_opens_with_what_it_is_and_how_to_run_it():
    files = [p for p in conf_dir().rglob("*.yaml") if "hydra" not in p.parts]
    assert len(files) > 8
    for file in files:
        head = [line for line in file.read_text().splitlines() if not line.startswith("# @package")]
        comment = [line for line in head if line.startswith("#")]
        assert head[0].startswith("# "), file
        assert any(re.search(r"mmml-(train|eval|predict)", line) for line in comment), file


def test_every_option_of_the_schema_has_a_value():
    missing = [k for k in dotted_keys(PLAIN) if "MISSING" in str(k)]
    assert not missing
