import errno
import fcntl
import logging

import pytest

from mmml.errors import UserError
from mmml.run_directory import RunDirectory


def test_a_run_is_held_by_one_process(tmp_path):
    run = RunDirectory(tmp_path)
    with run.locked(), pytest.raises(UserError, match="is in use: another process trains there now"), run.locked():
        pass


def test_a_file_system_without_locks_is_no_obstacle(tmp_path, monkeypatch, caplog):
    def flock(*of):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", flock)
    with caplog.at_level(logging.WARNING), RunDirectory(tmp_path).locked():
        pass
    assert "cannot be locked (Function not implemented)" in caplog.text
