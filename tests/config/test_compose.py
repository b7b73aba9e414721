import copy

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from mmml.config.compose import (
    apply_overrides,
    compose_plain,
    path_list,
    quote_paths,
    take_option,
    with_data,
)
from mmml.errors import UserError

PLAIN = compose_plain([])
FIXED = ("seed", "dataset")


@pytest.mark.parametrize(
    "path",
    [
        "plain",
        "with space",
        "a=b",
        "[x]/run",
        "it's",
        'say "so"',
        "a,b",
        "{k: v}",
        "back\\slash",
        "~",
        "ünïcode",
        "a\\'b",
    ],
)
def test_any_path_needs_no_care(path):
    (argument,) = quote_paths([f"hydra.run.dir={path}"])
    assert OverridesParser.create().parse_override(argument).value() == path


def test_other_arguments_are_left_alone():
    arguments = [
        "-m",
        "seed=0,1",
        "method/loss=infonce,contrastive",
        "hydra.run.dir='done'",
        "resume=null",
        "--cfg",
        "job",
    ]
    assert quote_paths(arguments) == arguments


def test_overrides_change_values_in_place():
    before = copy.deepcopy(PLAIN)
    got = apply_overrides(
        PLAIN,
        ["trainer.steps=2000", "episode.eval.ways=[3,4]", "evaluation.independence_check=true"],
        FIXED,
    )
    assert (
        got["trainer"]["steps"],
        got["episode"]["eval"]["ways"],
        got["evaluation"]["independence_check"],
    ) == (
        2000,
        [3, 4],
        True,
    )
    assert before == PLAIN


def test_a_group_replaces_its_section():
    got = apply_overrides(PLAIN, ["episode=standard"], FIXED)
    assert got["episode"]["train"]["ways"] == 20 and got["trainer"] == PLAIN["trainer"]


def test_a_section_keeps_nothing_of_what_was_chosen_before():
    got = apply_overrides(PLAIN, ["method=learned_optimizer"], FIXED)
    assert (
        got["method"] == compose_plain(["method=learned_optimizer"])["method"]
        and "distance" not in got["method"]
    )
    later = apply_overrides(
        PLAIN, ["episode.eval.ways=7", "episode=standard", "episode.eval.shots=[3]"], FIXED
    )
    assert later["episode"]["eval"]["ways"] != 7 and later["episode"]["eval"]["shots"] == [3]


def test_paths_that_are_stored_do_not_depend_on_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert quote_paths(["dataset.root=data", "init_from=run"]) == [
        f"dataset.root='{tmp_path}/data'",
        f"init_from='{tmp_path}/run'",
    ]
    assert quote_paths(["resume=run", "dataset.features=f.npy"]) == [
        "resume='run'",
        "dataset.features='f.npy'",
    ]


def test_of_an_option_that_is_given_twice_the_last_counts():
    assert take_option(["a=1", "b=2", "a=3=4"], "a") == ("3=4", ["b=2"])
    assert take_option(["b=2"], "a", default="7") == ("7", ["b=2"])
    with pytest.raises(UserError, match="a= needs a run directory"):
        take_option(["b=2"], "a")
    for default in (None, "", "7"):
        with pytest.raises(UserError, match="a= needs a number"):
            take_option(["a=1", "a="], "a", default, wanted="a number")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "evaluation.gallery=true",
            "evaluation.gallery is a section; set an option of it, such as",
        ),
        (
            "trainer.stepz=3",
            r"trainer.stepz is no option of this run; did you mean 'trainer.steps'",
        ),
        ("seed=3", "seed belongs to the finished run and cannot change"),
        ("dataset.val=0.2", "dataset belongs to the finished run"),
        ("trainer.steps=1,2", "plain key=value options only"),
        ("+new=1", "plain key=value options only"),
        ("~trainer", "plain key=value options only"),
        ("trainer.steps={", "cannot be read"),
        ("episode=nope", "episode=nope: there is no such choice"),
    ],
)
def test_refuses_what_a_finished_run_cannot_take(override, message):
    with pytest.raises(UserError, match=message):
        apply_overrides(PLAIN, [override], FIXED)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("trainer.stepz=3", "trainer.stepz is no option; did you mean 'trainer.steps'"),
        (
            "method=metrik",
            r"no such choice; did you mean 'metric'\? \(known: learned_optimizer, metric\)",
        ),
        (
            "trainer.steps=abc",
            "trainer.steps=abc: Value 'abc' of type 'str' could not be converted to Integer",
        ),
        (
            "episode.train.wais=3",
            "episode.train.wais is no option; did you mean 'episode.train.ways'",
        ),
        ("metod=metric", "metod is no option; did you mean 'method'"),
        ("trainer.steps={", "cannot be read"),
        (
            "evaluation/evaluators=[few_shot,gallry]",
            "evaluation/evaluators=gallry: there is no such choice; did you mean 'gallery'",
        ),
        (
            "evaluation.robustness.amounts=[0.1]",
            r"belongs to evaluation/evaluators=\[robustness\], which is not chosen",
        ),
    ],
)
def test_hydras_errors_become_one_sentence(override, message):
    with pytest.raises(UserError, match=message) as error:
        compose_plain([override])
    assert "\n" not in str(error.value)


def test_models_are_paths_only_if_they_are(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resnet18").mkdir()
    (tmp_path / "my [model]").mkdir()
    (tmp_path / "my [model]" / "config.json").write_text("{}")
    assert quote_paths(["encoder.image.model=resnet18"]) == ["encoder.image.model=resnet18"]
    assert quote_paths(["encoder.image.model=a,b"]) == ["encoder.image.model=a,b"]  # a sweep
    assert quote_paths(["encoder.text.model=my [model]"]) == [
        f"encoder.text.model='{tmp_path}/my [model]'"
    ]
    for key in ("encoder.text.model", "method.language_model.model"):
        assert quote_paths([f"{key}=./resnet18"]) == [f"{key}='{tmp_path}/resnet18'"]


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ("runs/a", ["runs/a"]),
        ("[x]/run", ["[x]/run"]),
        ("a,b", ["a,b"]),
        ("[a]", ["a"]),
        ("[a,b,c]", ["a", "b", "c"]),
        ("[ a b , c=d ]", ["a b", "c=d"]),
        ("['a, b',\"c,'d'\",e]", ["a, b", "c,'d'", "e"]),
        ("[it's,l'été,'x']", ["it's", "l'été", "x"]),
        ("['a,b]", ["'a", "b"]),
        ("[[x]/run,y]", ["[x]/run", "y"]),
        ("[" + "a" * 3000 + "," + "b/" * 3000 + "]", ["a" * 3000, "b/" * 3000]),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_a_list_of_paths_needs_quotes_for_commas_alone(value, paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert path_list(value) == paths


def test_a_folder_that_looks_like_a_list_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "[a,b]").mkdir()
    assert path_list("[a,b]") == ["[a,b]"]


@pytest.mark.parametrize("value", ["[]", "[a,]", "[,a]", "[a,'']"])
def test_a_list_without_a_path_is_refused(value):
    with pytest.raises(UserError, match="lists an empty path"):
        path_list(value)


def test_several_paths_of_a_sweep_are_quoted_one_by_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wanted = ["-m", f"dataset.root='{tmp_path}/a','{tmp_path}/b c'"]
    assert quote_paths(["-m", "dataset.root=a,b c"]) == wanted
    assert quote_paths(["-m", "dataset.root=choice(a, b c)"]) == wanted
    assert quote_paths(["dataset.root=a,b"]) == [f"dataset.root='{tmp_path}/a,b'"]
    (tmp_path / "a,b").mkdir()
    assert quote_paths(["-m", "dataset.root=a,b"]) == ["-m", f"dataset.root='{tmp_path}/a,b'"]


def test_data_of_a_finished_run_may_have_moved():
    config = {"dataset": {"name": "manifest", "root": "/old", "val": 0.1}}
    assert apply_overrides(config, ["dataset.root=/new"], ["dataset"])["dataset"]["root"] == "/new"
    config["dataset"]["features"] = "/old/f.npy"
    assert (
        apply_overrides(config, ["dataset.features=/new/f.npy"], ["dataset"])["dataset"]["features"]
        == "/new/f.npy"
    )


def test_data_that_moved_are_asked_for(tmp_path):
    here = {"dataset": {"name": "manifest", "root": str(tmp_path)}}
    for config in (
        here,
        {"dataset": {"root": None}},
        {"dataset": {"name": "glyphs"}},
        {"problem": {}},
    ):
        assert with_data(config, [], []) == config
    with pytest.raises(
        UserError, match=r"dataset\.root=/old/place does not exist: add dataset\.root=NEW"
    ):
        with_data({"dataset": {"name": "emoji", "root": "/old/place"}}, [], [])
    moved = with_data(
        {"dataset": {"name": "emoji", "root": "/old/place"}},
        [f"dataset.root={tmp_path}"],
        ["dataset"],
    )
    assert moved["dataset"]["root"] == str(tmp_path)


@pytest.mark.parametrize(
    ("encoder", "own", "others"),
    [("byte_transformer", 512, 80), ("ngrams", 512, 160), ("wordpiece", 128, 40)],
)
def test_more_is_read_of_texts_of_ones_own(encoder, own, others):
    def limit(*overrides):
        return compose_plain([f"encoder/text={encoder}", *overrides])["encoder"]["text"][
            "max_length"
        ]

    manifest = ("dataset=manifest", "dataset.root=x")
    assert (limit(*manifest), limit()) == (own, others)
    assert limit(*manifest, "encoder.text.max_length=9") == 9
    assert limit(*manifest, "experiment=moving_glyphs") == 160  # an experiment wins


@pytest.mark.parametrize("choice", ["encoder=mlp", "encoder=raw", "encoder/text=pretrained_text"])
def test_other_encoders_of_ones_own_texts_are_as_they_are(choice):
    assert (
        compose_plain([choice, "dataset=manifest", "dataset.root=x"])["encoder"]
        == compose_plain([choice])["encoder"]
    )


def test_options_of_a_chosen_part_are_near_ones():
    with pytest.raises(UserError, match="did you mean 'method.loss.margin'"):
        compose_plain(["method/loss=triplet", "method.loss.margn=1"])


def test_a_file_that_is_no_yaml_is_named_with_its_line(tmp_path):
    file = tmp_path / "dataset" / "mine.yaml"
    file.parent.mkdir()
    file.write_text("name: mine\nfloor: [1\n")
    with pytest.raises(UserError, match=r"mine\.yaml: line 3 cannot be read as YAML"):
        compose_plain([f"hydra.searchpath=[{tmp_path}]", "dataset=mine"])


def test_a_finished_run_takes_another_classifier_with_its_options():
    plain = compose_plain([])
    assert "classifier" not in plain["method"]  # it follows from the task
    changed = apply_overrides(plain, ["method/classifier=ridge"], ("method",))
    assert changed["method"] == plain["method"] | {"classifier": {"name": "ridge"}}
    with pytest.raises(
        UserError, match="method/classifier=rigde: there is no such choice; did you mean 'ridge'"
    ):
        apply_overrides(plain, ["method/classifier=rigde"], ("method",))
    with pytest.raises(UserError, match="method/loss=triplet: method belongs to the finished run"):
        apply_overrides(plain, ["method/loss=triplet"], ("method",))


def test_a_finished_run_writes_texts_another_way():
    """And finds a frozen language model elsewhere; its sizes are learned for."""
    plain = compose_plain(["method=learned_optimizer", "task=generation", "dataset=emoji_texts"])
    options = ["decoding=beam", "beams=2", "temperature=0.5"]
    texts = [f"method.language_model.{option}" for option in options]
    changed = apply_overrides(plain, texts, ("method",))["method"]["language_model"]
    assert changed == plain["method"]["language_model"] | {
        "decoding": "beam",
        "beams": 2,
        "temperature": 0.5,
    }
    for option in ("width=64", "max_length=9", "prefix=2"):
        with pytest.raises(UserError, match="method belongs to the finished run"):
            apply_overrides(plain, [f"method.language_model.{option}"], ("method",))
    plain["method"]["language_model"] = {"name": "pretrained", "model": "gpt2"}
    moved = apply_overrides(plain, ["method.language_model.model=/there"], ("method",))
    assert moved["method"]["language_model"]["model"] == "/there"


def test_an_option_that_the_chosen_part_does_not_read_is_refused():
    with pytest.raises(
        UserError,
        match="method.loss.hard_mining belongs to method/loss=triplet, which is not chosen",
    ):
        compose_plain(["method.loss.hard_mining=true"])
    assert compose_plain(["method/loss=triplet", "method.loss.hard_mining=true"])["method"]["loss"][
        "hard_mining"
    ]


@pytest.mark.parametrize("option", ["hydra.run.dir", "hydra.sweep.dir", "checkpoint", "init_from"])
def test_a_home_in_a_path_is_the_user_s_and_that_of_nobody_is_a_name(option, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.chdir(tmp_path)
    nobody = f"{tmp_path}/~nobody-here/b" if option == "init_from" else "~nobody-here/b"
    assert quote_paths([f"{option}=~/a", f"{option}=~nobody-here/b"]) == [
        f"{option}='/home/me/a'",
        f"{option}='{nobody}'",
    ]
