import errno
import fcntl
import logging
import shutil

import pytest

from mmml.errors import UserError
from mmml.run_directory import RunDirectory
from mmml.world import World


def test_a_run_is_held_by_one_process(tmp_path):
    run = RunDirectory(tmp_path)
    with (
        run.locked(),
        pytest.raises(UserError, match="is in use: another process trains there now"),
        run.locked(),
    ):
        pass


def test_rank_0_holds_a_run_for_all_ranks(tmp_path):
    zero, one = (RunDirectory(tmp_path, World(rank, 2)) for rank in range(2))
    with one.locked():
        assert not list(tmp_path.iterdir())
        with (
            zero.locked(),
            one.locked(),
            pytest.raises(UserError, match="is in use"),
            zero.locked(),
        ):
            pass


def test_rank_0_makes_the_folders_of_a_run(tmp_path):
    RunDirectory(tmp_path / "run", World(1, 2)).create()
    assert not (tmp_path / "run").exists()
    RunDirectory(tmp_path / "run", World(0, 2)).create()
    assert (tmp_path / "run" / "checkpoints").is_dir()


def test_a_folder_that_cannot_be_written_cannot_be_held(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="cannot be written"),
        RunDirectory(tmp_path / "file" / "run").locked(),
    ):
        pass


def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch, caplog):
    def flock(*of):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with caplog.at_level(logging.WARNING), RunDirectory(tmp_path).locked():
        pass
    assert "cannot be locked (Function not implemented)" in caplog.text


def test_what_a_kill_left_half_written_is_removed_and_the_work_of_others_is_not(tmp_path):
    run = RunDirectory(tmp_path)
    own = [
        ".run.json.1-ab.tmp",
        "checkpoints/.last.ckpt.1-ab.tmp",
        "eval/test/.episodes.parquet.1-ab.tmp",
    ]
    others = [
        ".report.html.1-ab.tmp",
        "eval/other/.result.json.1-ab.tmp",
        "run.json",
        "checkpoints/last.ckpt",
    ]
    for name in (*own, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    run.remove_unfinished()
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == set(others)


def test_a_folder_that_was_removed_in_the_middle_is_made_again(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.append_metrics({"step": 1})
    shutil.rmtree(run.path)
    run.append_metrics({"step": 2})
    assert run.read_metrics() == [{"step": 2}]
