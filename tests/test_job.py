"""What a job does around training: which parameters are judged, what is kept, who may write."""

import errno
import json
import logging
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from mmml import run as runs
from mmml.config import check_config
from mmml.config.compose import compose_plain
from mmml.errors import UserError
from mmml.evaluation.context import EpisodeContext
from mmml.files import keep_aside
from mmml.job import Job, logging_to, resume, train_composed
from mmml.run_directory import RunDirectory
from mmml.training import loop
from mmml.world import World
from tests.conftest import SMOKE


def start(folder):
    plain = compose_plain([*SMOKE, "trainer.steps=4"])
    run = RunDirectory(folder).create()
    return run, *runs.prepare(check_config(plain), plain, run)


def test_the_best_parameters_are_tested_and_not_the_last(tmp_path, monkeypatch, capsys):
    scores, tested = iter([0.9, 0.1]), []
    monkeypatch.setattr(
        EpisodeContext, "validate", lambda self, learner: {"val/mean": next(scores)}
    )

    def test(learner, *_):
        tested.append({k: v.clone() for k, v in learner.state_dict().items()})
        raise UserError("far enough")

    monkeypatch.setattr("mmml.job.run_evaluators", test)
    run, experiment, trainer = start(tmp_path / "run")
    job = Job("mmml-train", run, [])
    assert job.execute(lambda stop: job.train(experiment, trainer, stop)) == 2
    best, last = (torch.load(p, weights_only=True) for p in (run.best, run.last))
    assert (best["step"], last["step"]) == (2, 4)
    assert all(torch.equal(v, best["learner"][k]) for k, v in tested[0].items())


def test_a_report_that_fails_does_not_cost_the_scores(tmp_path, monkeypatch, capsys):
    def broken(*_):
        raise RuntimeError("no map today")

    monkeypatch.setattr("mmml.job.collect_examples", broken)
    run, experiment, trainer = start(tmp_path / "run")
    job = Job("mmml-train", run, [])
    assert job.execute(lambda stop: job.train(experiment, trainer, stop)) == 1
    result = json.loads(run.result.read_text())
    assert result["status"] == "failed" and "no map today" in result["error"]["message"]
    assert {r["predictor"] for r in result["results"]} >= {"metric/prototype", "chance"}
    assert (run.evaluation("test") / "episodes.parquet").exists()


def composed(**options):
    return OmegaConf.create(compose_plain([*SMOKE, *(f"{k}={v}" for k, v in options.items())]))


def test_of_two_runs_that_start_at_once_in_one_folder_the_second_is_refused(
    tmp_path, monkeypatch, capsys
):
    folder = str(tmp_path / "run")
    with (
        RunDirectory(folder).create().locked(),
        pytest.raises(UserError, match="is in use: another process"),
    ):
        train_composed(composed(), folder, [])
    create = RunDirectory.create

    def beaten(run):
        create(run).info.write_text("{}")  # by another, between the first look and the lock
        return run

    monkeypatch.setattr(RunDirectory, "create", beaten)
    with pytest.raises(UserError, match="holds a run already"):
        train_composed(composed(), folder, [])


def test_a_start_that_failed_at_once_can_be_begun_again_and_keeps_what_it_said(tmp_path, capsys):
    folder = tmp_path / "run"
    bad = composed(**{"trainer.monitor": "val/meen"})
    assert [train_composed(bad, str(folder), [])[0] for _ in range(2)] == [2, 2]
    assert {p.name for p in folder.glob("result*.json")} == {"result.json", "result.1.json"}
    assert train_composed(composed(**{"trainer.steps": 2}), str(folder), [])[0] == 0
    with pytest.raises(UserError, match="holds a run already"):
        train_composed(composed(), str(folder), [])


def test_a_run_can_be_resumed_from_its_first_moment(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.ckpt").write_text("of a start that was never recorded")

    def killed(run, config):
        raise SystemExit(1)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(RunDirectory, "write_config", killed)
        train_composed(composed(**{"trainer.steps": 2}), str(folder), [])
    assert (folder / "run.json").exists() and not (folder / "metrics.jsonl").exists()
    assert resume(str(folder), [], lambda config: config) == 0
    assert train_composed(composed(**{"trainer.steps": 2}), str(tmp_path / "whole"), [])[0] == 0
    panels = [
        json.loads((tmp_path / name / "result.json").read_text())["results"]
        for name in ("run", "whole")
    ]
    assert panels[0] == panels[1]


def test_a_run_that_another_process_holds_is_left_alone(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    with (
        RunDirectory(tmp_path / "run").locked(),
        pytest.raises(UserError, match="is in use: another process"),
    ):
        resume(str(tmp_path / "run"), ["trainer.steps=5"], lambda config: config)
    assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()} == before
    with RunDirectory(tmp_path / "run").locked():
        pass  # and it is free again


@pytest.fixture
def rank_1(finished, tmp_path, monkeypatch):
    """A finished run that rank 0 of 2 holds, and the world of rank 1; gradients are those
    of its own episodes.
    """
    monkeypatch.setattr(loop, "all_reduce_gradients", lambda learner, world: None)
    run = RunDirectory(shutil.copytree(finished, tmp_path / "run"), World(0, 2))
    with run.locked():
        before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
        yield run, World(1, 2)
        assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before


def test_rank_1_trains_and_tests_beside_rank_0_and_writes_nothing(rank_1, capsys):
    run, world = rank_1
    code, best = train_composed(composed(**{"trainer.meta_batch_size": 2}), str(run), [], world)
    assert code == 0 and 0 <= best <= 1 and capsys.readouterr() == ("", "")


def test_rank_1_resumes_beside_rank_0_and_writes_nothing(rank_1, capsys):
    run, world = rank_1
    longer = composed(**{"trainer.steps": 5, "trainer.meta_batch_size": 2})
    assert resume(str(run), [], lambda config: OmegaConf.to_container(longer), world) == 0
    assert capsys.readouterr() == ("", "")


def test_rank_1_ends_as_rank_0_does_where_something_is_wrong(rank_1, capsys):
    run, world = rank_1
    assert train_composed(composed(**{"trainer.monitor": "val/meen"}), str(run), [], world)[0] == 2
    assert "trainer.monitor=val/meen is no validation score" in capsys.readouterr().err


def test_an_unknown_monitor_is_found_before_training(tmp_path):
    plain = compose_plain([*SMOKE, "trainer.monitor=val/meen"])
    with pytest.raises(
        UserError, match="trainer.monitor=val/meen is no validation score; did you mean 'val/mean'"
    ):
        runs.prepare(check_config(plain), plain, RunDirectory(tmp_path))


def test_earlier_results_are_kept_in_order(tmp_path):
    for content in ("a", "b", "c"):
        keep_aside(tmp_path / "result.json")
        (tmp_path / "result.json").write_text(content)
    assert [
        (tmp_path / n).read_text() for n in ("result.1.json", "result.2.json", "result.json")
    ] == ["a", "b", "c"]


def test_metrics_are_cut_to_a_step_and_half_lines_dropped(tmp_path):
    run = RunDirectory(tmp_path)
    for step in (1, 2, 3):
        run.append_metrics({"step": step})
    with run.metrics.open("a") as file:
        file.write('{"step": 4')
    run.keep_metrics(2)
    assert run.read_metrics() == [{"step": 1}, {"step": 2}]


@pytest.fixture
def fill(monkeypatch):
    """→ pattern of the files for which the disk is full from their second writing on; nothing:
    there is room again.
    """
    flush, flushed = os.fsync, []

    def filled(pattern):
        def fsync(number):
            name = str(Path(f"/proc/self/fd/{number}").readlink())
            if pattern and re.search(pattern, name):
                flushed.append(name)
                if len(flushed) > 1:
                    raise OSError(errno.ENOSPC, "No space left on device")
            flush(number)

        monkeypatch.setattr(os, "fsync", fsync)

    return filled


@pytest.mark.parametrize("pattern", [r"last\.ckpt.*tmp", r"tmp$"])
def test_a_full_disk_is_one_sentence_and_the_run_goes_on_once_there_is_room(
    finished, tmp_path, fill, pattern, capsys
):
    run, experiment, trainer = start(tmp_path / "run")
    run.write_config({})
    trainer.save_last()
    fill(pattern)
    job = Job("mmml-train", run, [])
    assert job.execute(lambda stop: job.train(experiment, trainer, stop)) == 2
    message = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("mmml-train:")
    ]
    assert (
        len(message) == 1
        and "cannot be written (No space left on device): make room there" in message[0]
    )
    assert message[0].endswith(f"; then: mmml-train resume={run}")
    assert not list(run.path.rglob("*.tmp"))
    assert torch.load(run.last, weights_only=True)["step"] < 4
    fill("")
    assert resume(str(run), [], lambda config: config) == 0
    one, other = (torch.load(r.last, weights_only=True) for r in (run, RunDirectory(finished)))
    assert one["step"] == other["step"] == 4
    assert all(torch.equal(v, other["learner"][k]) for k, v in one["learner"].items())
    assert json.loads(run.result.read_text())["status"] == "completed"


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path, capsys):
    (tmp_path / "train.log").symlink_to("/dev/full")
    with logging_to(tmp_path / "train.log"):
        logging.getLogger("mmml").info("told")
    assert capsys.readouterr().err == "told\n"
