import os
import pickle
from dataclasses import replace

import pytest
import torch

from mmml.errors import UserError
from mmml.files import write_atomically
from mmml.training.checkpoint import Checkpoint, find_checkpoint, load_checkpoint


def checkpoint(step=3):
    weights = {"w": torch.arange(6.0)}
    return Checkpoint(
        {"seed": 0, "method": {"classifier": "prototype"}},
        ["glyphs/A"],
        weights,
        {"state": {}},
        step,
        None,
        1.5,
    )


STRING = {
    "format": 2,
    "config": "x",
    "known_classes": [],
    "learner": {},
    "optimizer": {},
    "step": 1,
    "best": None,
    "seconds": 1.0,
}


class Payload:
    def __reduce__(self):
        return (os.system, ("touch pwned",))


def test_comes_back_as_it_was(tmp_path):
    checkpoint().save(tmp_path / "a.ckpt")
    back = load_checkpoint(tmp_path / "a.ckpt", "resume")
    assert torch.equal(back.learner["w"], torch.arange(6.0))
    assert (back.config, back.step, back.best, back.seconds) == (checkpoint().config, 3, None, 1.5)


def test_every_part_comes_back_with_the_calibration_and_the_best(tmp_path):
    best = {"monitor": "val/mean", "value": 0.5, "step": 2}
    calibration = {"entries": [{"temperature": 2.0}]}
    replace(
        checkpoint(), best=best, calibration=calibration, optimizer={"state": {0: {"step": 7}}}
    ).save(tmp_path / "a")
    back = load_checkpoint(tmp_path / "a", "checkpoint")
    assert (back.best, back.calibration, back.known_classes) == (best, calibration, ["glyphs/A"])
    assert back.optimizer == {"state": {0: {"step": 7}}}


def test_a_whole_checkpoint_of_another_format_is_refused(tmp_path):
    checkpoint().save(tmp_path / "a.ckpt")
    content = torch.load(tmp_path / "a.ckpt")
    torch.save(content | {"format": 1}, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="is of format 1, and this mmml reads 2: train anew"):
        load_checkpoint(tmp_path / "a.ckpt", "resume")


@pytest.mark.parametrize("keep", [0, 10, 300, 0.5, 0.99])
def test_cut_short_at_any_place_is_refused(tmp_path, keep):
    file = tmp_path / "a.ckpt"
    checkpoint().save(file)
    data = file.read_bytes()
    file.write_bytes(data[: int(keep * len(data)) if keep < 1 else keep])
    with pytest.raises(UserError, match=r"resume=.*a.ckpt"):
        load_checkpoint(file, "resume")


def test_a_pickled_payload_is_refused_and_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"format": 2, "config": Payload()}, "a.ckpt")
    with pytest.raises(UserError, match="is refused: it holds more than plain data"):
        load_checkpoint(tmp_path / "a.ckpt", "resume")
    (tmp_path / "b.ckpt").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(UserError, match=r"b.ckpt"):
        load_checkpoint(tmp_path / "b.ckpt", "resume")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "content", [[1, 2], {"weights": torch.zeros(2)}, {"format": 2, "step": 3}, STRING]
)
def test_other_files_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(UserError, match="is no mmml checkpoint"):
        load_checkpoint(tmp_path / "a.ckpt", "checkpoint")


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    file = tmp_path / "a.ckpt"
    checkpoint(1).save(file)

    def half(opened):
        opened.write(b"half a checkp")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(file, half)
    assert load_checkpoint(file, "resume").step == 1
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


def test_finds_the_file_that_a_path_means(tmp_path):
    folder = tmp_path / "checkpoints"
    with pytest.raises(UserError, match="is no run"):
        find_checkpoint(str(tmp_path), "resume", "last")
    checkpoint().save(folder / "last.ckpt")
    assert find_checkpoint(str(tmp_path), "checkpoint", "best").name == "last.ckpt"
    checkpoint().save(folder / "best.ckpt")
    assert find_checkpoint(str(tmp_path), "checkpoint", "best").name == "best.ckpt"
    assert find_checkpoint(str(tmp_path), "resume", "last").name == "last.ckpt"
    assert find_checkpoint(str(folder / "best.ckpt"), "resume", "last").name == "best.ckpt"
    with pytest.raises(UserError, match="no such file"):
        find_checkpoint(str(tmp_path / "nowhere"), "resume", "last")


def test_links_in_a_circle_are_no_checkpoint(tmp_path):
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(UserError, match=r"init_from=.*circle"):
        load_checkpoint(find_checkpoint(str(tmp_path / "circle"), "init_from", "best"), "init_from")
