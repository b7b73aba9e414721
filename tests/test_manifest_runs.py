"""Whole runs on manifests of one's own: what is left out, what is refused."""

import json

import numpy as np
import pytest

from mmml import run as runs
from mmml.cli.mmml_eval import evaluate
from mmml.cli.mmml_predict import predict
from mmml.cli.mmml_train import resume
from mmml.config import check_config
from mmml.config.compose import compose_plain
from mmml.errors import UserError
from mmml.world import SINGLE_PROCESS
from tests.conftest import command
from tests.data.making import draw, write_csv
from tests.predict.making import features

RUN = (
    "dataset=manifest dataset.root=set dataset.features=f.npy episode=five_way episode.eval.ways=2 "
    "episode.train.ways=2"
)
RUN += (
    " episode.eval.mappings=[features:features] episode.eval.shots=[1] episode.eval.queries=1 "
    "episode.train.queries=1"
)
RUN += " dataset.val=0.25 dataset.test=0.25"
RUN += (
    " trainer.steps=2 trainer.warmup=0 evaluation.episodes=5 evaluation.validation_episodes=5 "
    "hydra.run.dir=run"
)


@pytest.fixture
def damaged(tmp_path):
    """Eight classes of four rows, two of them with numbers that are not finite."""
    root = features(tmp_path / "set", [c for c in range(8) for _ in range(4)], seed=0)
    matrix = np.load(root / "f.npy")
    matrix[[3, 17], 0] = np.nan, np.inf
    np.save(root / "f.npy", matrix)
    return tmp_path


def test_a_bad_row_stops_the_run_in_one_sentence(damaged):
    done = command("train", *RUN.split(), cwd=damaged)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert (
        "row 4 of" in done.stderr
        and "(and 1 more)" in done.stderr
        and "on_bad_sample=skip" in done.stderr
    )


def test_skipped_rows_are_listed_in_the_run_directory(damaged):
    done = command("train", *RUN.split(), "dataset.on_bad_sample=skip", cwd=damaged)
    assert done.returncode == 0, done.stderr
    lines = (damaged / "run" / "skipped.txt").read_text().splitlines()
    assert (
        len(lines) == 2
        and "row 4 of" in lines[0]
        and "row 18 of" in lines[1]
        and "not finite" in lines[0]
    )
    assert json.loads((damaged / "run" / "result.json").read_text())["status"] == "completed"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("episode.group_disjoint=true", "episode.group_disjoint=true needs groups"),
        ("task=regression episode=regression", "task=regression needs a score for each sample"),
        ("dataset.features=none.npy", "there is no such file"),
        ("dataset.on_bad_sample=ignore", "dataset.on_bad_sample=ignore: expected"),
        ("dataset.columns={label:kind}", "has no such column"),
        ("episode.eval.mappings=[text:text]", "matching it would be the answer"),
        (
            "episode.eval.mappings=[audio:audio]",
            "needs 'audio', which dataset manifest does not have",
        ),
    ],
)
def test_what_cannot_be_played_is_refused(more, message, tmp_path):
    features(tmp_path / "set", [c for c in range(8) for _ in range(4)], seed=0)
    done = command("train", *RUN.split(), *more.split(), cwd=tmp_path)
    assert (
        done.returncode == 2
        and "Traceback" not in done.stderr
        and message in " ".join(done.stderr.split())
    )


def test_two_manifests_of_one_name_share_no_class_by_accident(tmp_path):
    """A run judged on other data of the same folder name refuses only classes that it has seen."""
    features(tmp_path / "set", [c for c in range(8) for _ in range(4)], seed=0)
    assert command("train", *RUN.split(), cwd=tmp_path).returncode == 0
    rows = [{"id": i, "label": f"new {i // 4}"} for i in range(32)]
    other = features(tmp_path / "other" / "set", [c for c in range(8) for _ in range(4)], seed=1)
    write_csv(other / "metadata.csv", rows)
    done = command("eval", "checkpoint=run", f"dataset.root={other}", "name=other", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    done = command("eval", "checkpoint=run", "dataset.split_seed=1", "name=seen", cwd=tmp_path)
    assert (
        done.returncode == 2 and "the run of checkpoint= was trained or selected on" in done.stderr
    )


def test_new_samples_of_known_classes(tmp_path):
    """The table says that classes are known; what was trained on is never tested, whichever
    way splits were made.
    """
    features(tmp_path / "set", [c for c in range(8) for _ in range(20)], seed=0)
    assert command("train", *RUN.split(), "dataset.split_by=sample", cwd=tmp_path).returncode == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    message = "Classes are not new: training saw 8 of the 8 classes of the test, in other samples."
    assert (
        result["notes"] == [message] and message in (tmp_path / "run" / "report.html").read_text()
    )
    assert command("eval", "checkpoint=run", cwd=tmp_path).returncode == 0
    for n, other in enumerate(("dataset.split_seed=1", "dataset.split_by=class")):
        done = command("eval", "checkpoint=run", other, f"name=other{n}", cwd=tmp_path)
        assert (
            done.returncode == 2
            and "the run of checkpoint= was trained or selected on" in done.stderr
        )
    by_class = [o.replace("dir=run", "dir=by_class") for o in RUN.split()]
    assert command("train", *by_class, cwd=tmp_path).returncode == 0
    result = json.loads((tmp_path / "by_class" / "result.json").read_text())
    assert result["notes"] == ["Training and selection saw nothing of the test."]
    done = command(
        "eval", "checkpoint=by_class", "dataset.split_by=sample", "name=other", cwd=tmp_path
    )
    assert done.returncode == 2 and "such as 'manifest/all of " in done.stderr


def test_a_folder_with_one_class_is_refused_and_the_one_that_was_meant_is_named(tmp_path):
    for c in range(3):
        draw(tmp_path / "set" / "inner" / f"c{c}" / "1.png", c)
    with pytest.raises(UserError, match=f"did you mean dataset.root={tmp_path}/set/inner "):
        runs.assemble(
            check_config(compose_plain(["dataset=manifest", f"dataset.root={tmp_path}/set"]))
        )


def test_a_run_whose_data_moved_goes_on_is_judged_and_predicts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    features(tmp_path / "set", [c for c in range(8) for _ in range(4)], seed=0)
    assert command("train", *RUN.split(), cwd=tmp_path).returncode == 0
    (tmp_path / "set").rename(tmp_path / "moved")
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    pattern = r"dataset\.root=.*set does not exist: add dataset\.root=NEW"
    for go in (
        lambda: resume(["resume=run", "trainer.steps=4"], SINGLE_PROCESS),
        lambda: evaluate(["checkpoint=run", "name=x"]),
    ):
        with pytest.raises(UserError, match=pattern):
            go()
    assert before == {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert resume(["resume=run", "trainer.steps=4", "dataset.root=moved"], SINGLE_PROCESS) == 0
    assert evaluate(["checkpoint=run", "name=x", "evaluation.episodes=5"]) == 0  # the run remembers
    (tmp_path / "moved").rename(tmp_path / "again")
    assert evaluate(["checkpoint=run", "name=y", "dataset.root=again"]) == 0
    for more in ([], ["dataset.root=again"]):  # the data of training are not needed
        assert (
            predict(
                ["checkpoint=run", "support=again", "query=again", "predict.features=f.npy", *more]
            )
            == 0
        )
