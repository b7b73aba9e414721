"""A small run in this process: which checkpoint it goes on with, which one is judged,
and what is written of it.
"""

import json
import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from mmml.config.compose import compose_plain
from mmml.job import evaluate, resume, train_composed
from mmml.run_directory import RunDirectory
from mmml.training.checkpoint import load_checkpoint
from tests.test_splits import RUN, manifest

SHORT = [
    *RUN,
    "trainer.steps=4",
    "trainer.warmup=0",
    "trainer.validate_every=2",
    "trainer.checkpoint_every=4",
]
SHORT += [
    "evaluation.episodes=5",
    "evaluation.baselines=[]",
    "evaluation.controls=false",
    "trainer.meta_batch_size=2",
]


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    plain = compose_plain(SHORT)
    plain["dataset"]["root"] = str(manifest(folder / "data"))
    assert train_composed(OmegaConf.create(plain), str(folder / "run"), [])[0] == 0
    return folder / "run"


@pytest.fixture
def run(finished_run, tmp_path):
    """A copy of a finished run, whose best parameters are said to be of step 3."""
    run = RunDirectory(shutil.copytree(finished_run, tmp_path / "run"))
    replace(load_checkpoint(run.best, "best"), step=3).save(run.best)
    return run


def test_the_best_is_judged_and_the_last_goes_on(run):
    assert evaluate(str(run), "again", [], lambda config: config) == 0
    judged = json.loads((run.evaluation("again") / "result.json").read_text())
    trained = json.loads(run.result.read_text())
    assert (judged["steps"], trained["steps"]) == (3, 4)
    assert judged["results"] == trained["results"], "the best parameters, again"

    longer = {"trainer": load_checkpoint(run.last, "last").config["trainer"] | {"steps": 5}}
    assert resume(str(run), [], lambda config: config | longer) == 0
    (resumed,) = json.loads(run.info.read_text())["resumes"]
    assert resumed["from_step"] == 4 and json.loads(run.result.read_text())["steps"] == 5
    assert [m["step"] for m in run.read_metrics() if m["split"] == "train"] == [1, 2, 3, 4, 5]


def test_every_episode_is_written_beside_what_it_is_the_score_of(run):
    panel = json.loads(run.result.read_text())["results"]
    rows = pq.read_table(run.evaluation("test") / "episodes.parquet").to_pylist()
    (cell,) = [
        c for c in panel if c["predictor"] == "metric/prototype" and c["metric"] == "accuracy"
    ]
    own = [r for r in rows if (r["predictor"], r["metric"]) == (cell["predictor"], cell["metric"])]
    assert [r["episode"] for r in own] == [0, 1, 2, 3, 4]
    assert sum(r["score"] for r in own) / 5 == pytest.approx(cell["mean"])


def test_what_is_gone_back_on_is_given_up(run):
    """It goes on from the checkpoint that is named, an earlier one, and what
    came later is dropped.
    """
    best, last = (load_checkpoint(p, "checkpoint") for p in (run.best, run.last))
    replace(best, step=2, best=last.best).save(run.best)
    assert (
        resume(
            str(run.best), [], lambda config: config | {"trainer": config["trainer"] | {"steps": 3}}
        )
        == 0
    )
    assert [m["step"] for m in run.read_metrics() if m["split"] == "train"] == [1, 2, 3]
    assert load_checkpoint(run.last, "last").step == 3
    assert len(list(run.path.glob("result*.json"))) == 2
