import json

import pytest

from mmml.errors import UserError
from mmml.training import loggers as package
from mmml.training.loggers import Logger, check_loggers, loggers, open_loggers
from mmml.training.loggers.base import full_name
from tests.conftest import SMOKE, command, only_run


def curves(folder):
    """What TensorBoard reads: (step, value) by name."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    return {
        name: [(e.step, e.value) for e in events.Scalars(name)] for name in events.Tags()["scalars"]
    }


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """A run that both loggers saw, resumed for two more steps."""
    cwd = tmp_path_factory.mktemp("tracked")
    done = command(
        "train", *SMOKE, "trainer.loggers=[tensorboard,wandb]", cwd=cwd, WANDB_MODE="offline"
    )
    assert done.returncode == 0, done.stderr
    run = only_run(cwd)
    done = command("train", f"resume={run}", "trainer.steps=6", cwd=cwd, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    return run


def test_tensorboard_shows_what_metrics_hold(tracked):
    lines = [json.loads(line) for line in (tracked / "metrics.jsonl").read_text().splitlines()]
    shown = curves(tracked / "tensorboard")
    losses = [(m["step"], m["loss"]) for m in lines if m["split"] == "train"]
    assert [s for s, _ in shown["train/loss"]] == [1, 2, 3, 4, 5, 6]
    assert [v for _, v in shown["train/loss"]] == pytest.approx([v for _, v in losses])
    means = [(m["step"], m["val/mean"]) for m in lines if m["split"] == "val"]
    assert [s for s, _ in shown["val/mean"]] == [s for s, _ in means] == [2, 4, 6]


def test_a_resumed_run_goes_on_with_its_page_offline(tracked):
    identity = (tracked / "wandb-id.txt").read_text()
    runs = sorted((tracked / "wandb").glob("offline-run-*"))
    assert len(runs) == 2 and all(r.name.endswith(identity) for r in runs)


@pytest.mark.parametrize("again", [0, 1])
def test_what_is_done_again_replaces_what_was_shown(tmp_path, again):
    for step, values in ((0, [1.0, 2.0, 3.0]), (again, [5.0, 6.0])):
        with open_loggers(["tensorboard"], tmp_path, {}, step) as tell:
            for i, value in enumerate(values):
                tell({"step": step + i + 1, "split": "train", "loss": value})
    assert curves(tmp_path / "tensorboard")["train/loss"] == [
        *[(1, 1.0)][:again],
        (again + 1, 5.0),
        (again + 2, 6.0),
    ]


def test_all_are_told_and_closed_whatever_happens(monkeypatch, tmp_path):
    events = []

    class Listener(Logger):
        package = "json"

        def __init__(self, folder, config, step):
            events.append(("opened", step))

        def log(self, step, scores):
            events.append((step, dict(scores)))

        def close(self):
            events.append("closed")

    monkeypatch.setitem(loggers._parts, "listener", Listener)
    with pytest.raises(KeyError), open_loggers(["listener", "listener"], tmp_path, {}, 3) as tell:
        tell({"step": 4, "split": "val", "val/mean": 0.5})
        raise KeyError
    assert events == [("opened", 3)] * 2 + [(4, {"val/mean": 0.5})] * 2 + ["closed"] * 2


def test_names_begin_with_their_split():
    assert full_name("loss", "train") == "train/loss" and full_name("val/mean", "val") == "val/mean"


def test_what_is_not_there_is_told(monkeypatch):
    with pytest.raises(
        UserError, match="trainer.loggers=tensorbord: there is no logger of that name; did you mean"
    ):
        check_loggers(["tensorbord"])
    monkeypatch.setattr(package.base, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r"wandb needs the package wandb: pip install 'mmml\[wandb\]'"
    ):
        check_loggers(["wandb"])


def test_a_run_goes_on_without_a_tracker_that_cannot_write(monkeypatch, tmp_path, caplog):
    events = []

    class Good(Logger):
        package = "json"

        def __init__(self, folder, config, step):
            pass

        def log(self, step, scores):
            events.append(step)

        def close(self):
            events.append("closed")

    class Full(Good):
        def log(self, step, scores):
            events.append("tried")
            self.close()

        def close(self):
            raise OSError(28, "No space left on device")

    monkeypatch.setitem(loggers._parts, "good", Good)
    monkeypatch.setitem(loggers._parts, "full", Full)
    with open_loggers(["full", "good"], tmp_path, {}, 0) as tell:
        for step in (1, 2):
            tell({"step": step, "split": "train", "loss": 0.5})
    assert events == ["tried", 1, 2, "closed"]
    assert (
        "Full cannot write ([Errno 28] No space left on device): the run goes on without it"
        in caplog.text
    )
