"""Several checkpoints on the very same test episodes."""

import copy
import csv
import gc
import json
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from mmml import run as runs
from mmml.cli.mmml_eval import FIXED
from mmml.compare import compare, endings, merge
from mmml.config import check_config
from mmml.config.compose import apply_overrides, compose_plain
from mmml.errors import UserError
from mmml.evaluation.evaluator import run_evaluators
from mmml.evaluation.results import Results
from mmml.evaluation.statistics import paired_interval
from mmml.methods import Role
from mmml.training.checkpoint import load_checkpoint
from tests.conftest import command
from tests.evaluation.test_paired import row

SMALL = [
    "evaluation.episodes=6",
    "episode.eval.ways=3",
    "episode.eval.shots=1",
    "evaluation/evaluators=[few_shot]",
]


@pytest.fixture(scope="module")
def contest(finished, tmp_path_factory):
    """A folder of checkpoints: ``a``, ``b, c`` (other parameters, and a rule of its own),
    ``images`` (no texts).
    """
    folder = tmp_path_factory.mktemp("contest")
    original = load_checkpoint(finished / "checkpoints" / "best.ckpt", "")
    write(folder / "a", original)
    write(folder / "b, c", original, {"image", "text"}, {"method.classifier": {"name": "nearest"}})
    one = {"episode.train.mappings": ["image:image"], "episode.eval.mappings": ["image:image"]}
    write(folder / "images", original, {"image"}, one)
    return folder


def write(run, checkpoint, anew=None, options=None, **changes):
    """A run with a changed checkpoint, and new parameters for the modalities ``anew``."""
    config = copy.deepcopy(checkpoint.config)
    for key, value in (options or {}).items():
        *sections, last = key.split(".")
        part = config
        for section in sections:
            part = part[section]
        part[last] = value
    if anew:
        torch.manual_seed(7)
        changes["learner"] = runs.build_learner(check_config(config), anew)[0].state_dict()
    replace(checkpoint, config=config, **changes).save(run / "checkpoints" / "best.ckpt")
    (run / "run.json").write_text("{}")


def play(given, *overrides, name="fair"):
    return compare(
        given, name, list(overrides), lambda config: apply_overrides(config, overrides, FIXED)
    )


@pytest.fixture(scope="module")
def judged(contest):
    done = command("eval", "checkpoint=[a, 'b, c',images]", "name=fair", *SMALL, cwd=contest)
    assert done.returncode == 0, done.stderr
    return contest / "outputs" / "eval" / "fair", done.stdout


@pytest.fixture
def here(contest, tmp_path, monkeypatch):
    """A folder of its own with the checkpoints of the contest."""
    for run in contest.iterdir():
        (tmp_path / run.name).symlink_to(run)
    (tmp_path / "outputs").unlink(missing_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_is_written(judged):
    folder, out = judged
    files = {
        "result.json",
        "run.json",
        "config.yaml",
        "episodes.parquet",
        "differences.csv",
        "report.html",
    }
    assert files <= {p.name for p in folder.iterdir()}
    result, info = (json.loads((folder / f).read_text()) for f in ("result.json", "run.json"))
    assert (result["schema"], result["status"], result["error"]) == (2, "completed", None)
    assert result["overrides"] == ["checkpoint=[a, 'b, c',images]", *SMALL]
    message = [
        (c["checkpoint"], c["predictor"], Path(c["file"]).parent.parent.name)
        for c in info["checkpoints"]
    ]
    assert message == [
        ("a", "metric/prototype (a)", "a"),
        ("b, c", "metric/nearest", "b, c"),
        ("images", "metric/prototype (images)", "images"),
    ]
    page = (folder / "report.html").read_text()
    assert "3 checkpoints on the same test episodes" in page and "Paired differences" in page
    assert "difference in accuracy" in " ".join(out.split()) and "− metric/nearest" in out


def test_each_row_is_what_the_checkpoint_scores_alone(judged, contest):
    result = json.loads((judged[0] / "result.json").read_text())
    checkpoint = load_checkpoint(contest / "b, c" / "checkpoints" / "best.ckpt", "")
    config = check_config(apply_overrides(checkpoint.config, SMALL, FIXED))
    experiment = runs.restore(config, checkpoint)
    parts = experiment.evaluators, experiment.context
    alone = run_evaluators(experiment.learner, experiment.calibration, *parts)[0].plain()
    for name in ("metric/nearest", "raw/nearest", "chance"):
        assert [c for c in alone if c["predictor"] == name] == [
            c for c in result["results"] if c["predictor"] == name
        ]
    folders = [
        (c["predictor"], c["metric"], c.get("subset"), *c["support"], *c["query"])
        for c in result["results"]
    ]
    assert len(set(folders)) == len(folders)  # baselines stand once
    mappings = {p[0]: {q[3:] for q in folders if q[0] == p[0]} for p in folders}
    assert (
        mappings["metric/prototype (images)"] == {("image", "image")}
        and len(mappings["metric/nearest"]) == 4
    )


def test_differences_are_those_of_the_recorded_episodes(judged):
    result = json.loads((judged[0] / "result.json").read_text())
    episodes = pq.read_table(judged[0] / "episodes.parquet").to_pylist()

    def scores(predictor, mapping):
        wanted = ("few_shot", predictor, mapping, None)
        about = [
            (e["evaluator"], e["predictor"], f"{e['support']}:{e['query']}", e["subset"])
            for e in episodes
        ]
        rows = [e for e, key in zip(episodes, about, strict=True) if key == wanted]
        return np.array([e["score"] for e in sorted(rows, key=lambda e: e["episode"])])

    found = {
        (d["predictor"], d["minus"], "+".join(d["support"]) + ":" + "+".join(d["query"])): d
        for d in result["differences"]
    }
    a, b, c = "metric/prototype (a)", "metric/nearest", "metric/prototype (images)"
    mappings = ("image:image", "text:image", "image:text", "image+text:image")
    assert list(found) == [*((a, b, m) for m in mappings), (a, c, mappings[0]), (b, c, mappings[0])]
    for (one, other, mapping), d in found.items():
        mean, ci95 = paired_interval(scores(one, mapping), scores(other, mapping), 15)
        assert (d["mean"], d["ci95"], d["n"]) == (pytest.approx(mean), pytest.approx(ci95), 6)
    lines = list(csv.DictReader((judged[0] / "differences.csv").read_text().splitlines()))
    assert [(r["predictor"], r["minus"], f"{r['support']}:{r['query']}") for r in lines] == list(
        found
    )
    assert [float(r["mean"]) for r in lines] == [d["mean"] for d in result["differences"]]


def test_one_learner_is_in_memory_at_a_time(here, monkeypatch, capsys):
    build, alive, met = runs.build_learner, weakref.WeakSet(), []

    def watched(*arguments):
        gc.collect()
        met.append(len(alive))
        learner, numerics = build(*arguments)
        alive.add(learner)
        return learner, numerics

    monkeypatch.setattr(runs, "build_learner", watched)
    assert play("[a,'b, c',images]", *SMALL, "episode.eval.mappings=['image:image']") == 0
    assert len(met) > 3 and set(met) == {0}
    assert "image:image" in capsys.readouterr().out


def test_the_first_says_what_is_played(here, capsys):
    options = {
        "episode.eval.ways": [4],
        "episode.eval.shots": [1],
        "episode.eval.mappings": ["image:image"],
    }
    options |= {"evaluation.episodes": 3, "evaluation.baselines": []}
    write(
        here / "first",
        load_checkpoint(here / "a" / "checkpoints" / "best.ckpt", ""),
        options=options,
    )
    assert play("[first,a]", "evaluation.seed=5") == 0
    result = json.loads((here / "outputs/eval/fair/result.json").read_text())
    assert {(c["ways"], *c["query"]) for c in result["results"]} == {(4, "image")}
    assert {c["predictor"] for c in result["results"]} == {
        "metric/prototype (first)",
        "metric/prototype (a)",
        "chance",
    }
    (found,) = result["differences"]
    assert (found["mean"], found["clear"], found["n"]) == (0, False, 3)  # the same parameters
    config = (here / "outputs/eval/fair/config.yaml").read_text()
    assert "controls: false" in config and "seed: 5" in config


@pytest.mark.parametrize(
    ("given", "overrides", "message"),
    [
        ("[a,nowhere]", [], "checkpoint=nowhere: there is no such file or folder"),
        ("[a,./a]", [], r"checkpoint=\./a is listed twice"),
        (
            "[a,,images]",
            [],
            r"checkpoint=\[a,,images\] lists an empty path: write checkpoint=\[RUN,RUN\]",
        ),
        (
            "[a,split]",
            [],
            (
                "checkpoint=split: it has dataset.split_seed=1 and checkpoint=a has 0.* set "
                "dataset.split_seed="
            ),
        ),
        (
            "[a,split]",
            ["dataset.split_seed=0"],
            r"checkpoint=split: the run of checkpoint= was trained .* on 1 of these test",
        ),
        (
            "[a,data]",
            [],
            "checkpoint=data: it has dataset.name=other .* compare checkpoints of one dataset",
        ),
        (
            "[a,scores]",
            [],
            "checkpoint=scores: it has task.name=regression .* compare checkpoints of one task",
        ),
        (
            "[a,images]",
            ["episode.eval.mappings=['text:image','image:text']"],
            r"checkpoint=images: it has no encoder of text, which "
            r"episode.eval.mappings=\[text:image,image:text\] needs"
            "; leave it out, or choose other mappings",
        ),
        (
            "[images,a]",
            ["episode.eval.mappings=['image:image','text:image']"],
            "images: it has no encoder of text.* list",
        ),
        (
            "[a,images]",
            ["method.loss.temperature=1"],
            "checkpoint=a: method.loss.temperature=1: method belongs to the finished run",
        ),
        ("[a,old]", ["trainer.nothing=1"], "checkpoint=a: trainer.nothing is no option"),
    ],
    ids=lambda value: value if isinstance(value, str) and value[0] == "[" else "",
)
def test_refuses_what_would_be_unfair(here, glyphs, given, overrides, message):
    original = load_checkpoint(here / "a" / "checkpoints" / "best.ckpt", "")
    known = [*original.known_classes, f"glyphs/{glyphs['test'].classes[0]}"]
    write(here / "split", original, options={"dataset.split_seed": 1}, known_classes=known)
    write(here / "data", original, options={"dataset.name": "other"})
    write(here / "scores", original, options={"task.name": "regression"})
    with pytest.raises(UserError, match=message) as error:
        play(given, *SMALL, *overrides)
    assert "\n" not in str(error.value)
    assert not (here / "outputs").exists()


def test_a_name_that_is_taken_is_refused(here):
    (here / "outputs" / "eval" / "fair").mkdir(parents=True)
    with pytest.raises(UserError, match="name=fair: .* exists already; choose another name"):
        play("[a,images]")
    with pytest.raises(UserError, match="must be a plain folder name"):
        play("[a,images]", name="../up")


def test_refuses_shapes_that_one_of_them_has_no_rows_for(here):
    """MAML's head has a row for each class of its training episodes, however many
    the first was judged on.
    """
    original = load_checkpoint(here / "a" / "checkpoints" / "best.ckpt", "")
    maml = compose_plain(["experiment=smoke", "method=learned_optimizer", "method/algorithm=maml"])[
        "method"
    ]
    write(here / "maml", original, {"image", "text"}, {"method": maml, "episode.train.ways": 5})
    with pytest.raises(
        UserError, match=r"episode\.eval\.ways=6 has 6 classes, .* a row for each of 5"
    ):
        play("[a,maml]", *SMALL, "episode.eval.ways=6")


def table(*rows):
    return Results(
        [
            row(scores, name, role=Role.UNTRAINED if baseline else Role.LEARNED)
            for name, baseline, scores in rows
        ]
    )


class TestMerging:
    def test_baselines_that_agree_stand_once_and_last(self):
        chance = ("chance", True, [])
        got, names = merge(
            [table(("x", False, [0.1]), chance), table(("y", False, [0.1]), chance)], ["1", "2"]
        )
        assert [r.key.predictor for r in got] == ["x", "y", "chance"] and names == ["x", "y"]
        assert [len(r.scores) for r in got] == [1, 1, 0]

    def test_learners_of_one_name_are_told_apart_though_they_score_alike(self):
        got, names = merge(
            [table(("x", False, [0.1])), table(("x", False, [0.1])), table(("y", False, [0.1]))],
            "pqr",
        )
        assert names == ["x (p)", "x (q)", "y"] == [r.key.predictor for r in got]

    def test_baselines_that_stand_on_their_own_checkpoint_are_told_apart(self):
        rows = [
            table((n, False, [0.1]), ("frozen", True, [s]))
            for n, s in (("x", 0.5), ("y", 0.5), ("z", 0.7))
        ]
        got, names = merge(rows, ["p", "q", "r"])
        assert [r.key.predictor for r in got] == ["x", "y", "z", "frozen (p)", "frozen (r)"]
        assert names == ["x", "y", "z"] and got.rows[-1].scores.tolist() == [0.7]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["s/0/checkpoints/best.ckpt", "s/1/checkpoints/best.ckpt"], ["0", "1"]),
        (["s/0/checkpoints/best.ckpt", "t/0/checkpoints/best.ckpt"], ["s/0", "t/0"]),
        (["s/0/checkpoints/best.ckpt", "s/0/checkpoints/last.ckpt"], ["best", "last"]),
        (
            ["s/0/checkpoints/best.ckpt", "moved.v2.ckpt", "u/moved.v1.ckpt"],
            ["0", "moved.v2", "moved.v1"],
        ),
    ],
)
def test_paths_are_told_apart_by_no_more_than_it_takes(tmp_path, files, expected):
    for run in ("s/0", "s/1", "t/0"):
        (tmp_path / run).mkdir(parents=True)
        (tmp_path / run / "run.json").write_text("{}")
    assert endings([tmp_path / f for f in files]) == expected


def test_checkpoints_are_compared_under_corruption(contest, monkeypatch):
    monkeypatch.chdir(contest)
    more = ["evaluation.robustness.amounts=[0,1]", "evaluation.robustness.corruptions=[missing]"]
    more += ["evaluation/evaluators=[few_shot,robustness]"]
    assert play("[a,'b, c']", *SMALL, *more, name="corrupted") == 0
    result = json.loads(Path("outputs/eval/corrupted/result.json").read_text())
    corrupted = [r for r in result["results"] if "corruption" in r]
    assert len({r["predictor"] for r in corrupted}) == 2

    def nearest(rows):
        return {
            (*r["support"], *r["query"]): r["mean"]
            for r in rows
            if r["predictor"] == "metric/nearest"
        }

    scores = [
        r
        for r in result["results"]
        if r["metric"] == "accuracy" and not {"corruption", "subset"} & set(r)
    ]
    assert nearest(r for r in corrupted if r.get("amount") == 0) == pytest.approx(nearest(scores))
