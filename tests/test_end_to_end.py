"""Whole runs: killed, interrupted, resumed, swept; with the real encoders, made small."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import command, only_run

TINY = [
    "encoder.width=16",
    "encoder.image.size=16",
    "encoder.image.channels=8",
    "encoder.text.channels=16",
    "encoder.text.layers=1",
    "episode.train.ways=16",
    "trainer.warmup=2",
    "trainer.validate_every=6",
    "trainer.checkpoint_every=3",
    "evaluation.episodes=5",
    "evaluation.validation_episodes=5",
    "evaluation.baselines=[]",
]
STEPS = "trainer.steps=18"


def start(cwd: Path, *arguments: str) -> subprocess.Popen:
    code = "import sys; sys.argv[0] = 'mmml-train'; from mmml.cli import train; train()"
    process = [sys.executable, "-c", code, *TINY, *arguments]
    return subprocess.Popen(
        process, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def wait_for_steps(cwd: Path, steps: int, process: subprocess.Popen) -> Path:
    """The run directory, once it has so many lines of metrics."""
    for _ in range(1200):
        for metrics in cwd.glob("outputs/*/*/metrics.jsonl"):
            if len(metrics.read_text().splitlines()) >= steps:
                return metrics.parent
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.05)
    raise AssertionError("no metrics in time")


def metrics_without_times(run: Path) -> list[dict]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def assert_same_run(a: Path, b: Path) -> None:
    assert metrics_without_times(a) == metrics_without_times(b)
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (a, b))
        assert one["step"] == other["step"] and one["best"] == other["best"]
        assert_same_tree(one["learner"], other["learner"])
        assert_same_tree(one["optimizer"], other["optimizer"])
    panels = [json.loads((run / "result.json").read_text())["results"] for run in (a, b)]
    assert panels[0] == panels[1]


def assert_same_tree(a, b) -> None:
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same_tree(a[key], b[key])
    elif isinstance(a, list):
        for x, y in zip(a, b, strict=True):
            assert_same_tree(x, y)
    else:
        assert a == b


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed."""
    cwd = tmp_path_factory.mktemp("whole")
    done = command("train", *TINY, STEPS, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return only_run(cwd)


def test_the_same_seed_gives_the_same_run(full, tmp_path):
    assert command("train", *TINY, STEPS, cwd=tmp_path).returncode == 0
    assert_same_run(full, only_run(tmp_path))


def test_another_seed_gives_another_run_on_the_same_episodes(full, tmp_path):
    assert command("train", *TINY, STEPS, "seed=1", cwd=tmp_path).returncode == 0
    other = only_run(tmp_path)
    assert metrics_without_times(full)[0]["loss"] != metrics_without_times(other)[0]["loss"]
    classes = [
        json.loads((r / "eval/test/examples.json").read_text())["items"] for r in (full, other)
    ]
    assert classes[0] == classes[1]


def test_killed_at_a_random_moment_and_resumed_it_is_bit_identical(full, tmp_path):
    process = start(tmp_path, STEPS)
    run = wait_for_steps(tmp_path, random.randint(4, 14), process)
    time.sleep(random.random() * 0.3)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (run / "result.json").exists()  # a directory is not a run that finished
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 99, "spl')  # a line cut short
    resumed = command("train", f"resume={run}", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert_same_run(full, run)
    assert len(json.loads((run / "run.json").read_text())["resumes"]) == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_and_exits(full, tmp_path, signum, code):
    process = start(tmp_path, STEPS, "trainer.checkpoint_every=1000")
    run = wait_for_steps(tmp_path, 4, process)
    process.send_signal(signum)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == code, stderr
    assert "Traceback" not in stderr
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "interrupted" and 4 <= result["steps"] < 18
    assert (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["step"] == result["steps"]
    )
    if signum == signal.SIGINT:
        assert (
            command("train", f"resume={run}", "trainer.checkpoint_every=3", cwd=tmp_path).returncode
            == 0
        )
        assert_same_run(full, run)


def test_resuming_with_more_steps_goes_on_in_place(full, tmp_path):
    import shutil

    run = shutil.copytree(full, tmp_path / "run")
    before = (run / ".hydra" / "overrides.yaml").read_text()
    done = command("train", f"resume={run}", "trainer.steps=20", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [m["step"] for m in metrics_without_times(run) if m["split"] == "train"] == list(
        range(1, 21)
    )
    assert json.loads((run / "result.json").read_text())["steps"] == 20
    # The earlier result is kept.
    assert json.loads((run / "result.1.json").read_text())["steps"] == 18
    assert (run / ".hydra" / "overrides.yaml").read_text() == before
    refused = command("train", f"resume={run}", "encoder.width=8", cwd=tmp_path)
    assert refused.returncode == 2 and "encoder belongs to the finished run" in refused.stderr
    assert json.loads((run / "result.json").read_text())["steps"] == 20


def test_a_finished_run_is_judged_with_another_classifier_whose_confidence_is_measured_anew(
    finished, tmp_path
):
    shutil.copytree(finished, tmp_path / "run")
    options = ["method/classifier=ridge", "evaluation.episodes=6", "evaluation.baselines=[]"]
    done = command("eval", "checkpoint=run", "name=ridge", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    panel = json.loads((tmp_path / "run" / "eval" / "ridge" / "result.json").read_text())["results"]
    before = json.loads((tmp_path / "run" / "result.json").read_text())["results"]
    errors = [[c for c in p if c["metric"] == "calibration error"] for p in (panel, before)]
    assert {c["predictor"] for c in errors[0]} == {"metric/ridge"} and len(errors[0]) == len(
        errors[1]
    ) > 0


def test_a_damaged_checkpoint_is_refused_and_nothing_is_touched(full, tmp_path):
    import shutil

    run = shutil.copytree(full, tmp_path / "run")
    last = run / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-100])
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}
    done = command("train", f"resume={run}", cwd=tmp_path)
    assert done.returncode == 2 and "Traceback" not in done.stderr and "last.ckpt" in done.stderr
    assert before == {p: p.read_bytes() for p in run.rglob("*") if p.is_file()}


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    done = command("train", *TINY, STEPS, "trainer.lr=1e30", "trainer.precision=fp32", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr and " at step " in done.stderr
    result = json.loads((only_run(tmp_path) / "result.json").read_text())
    assert result["status"] == "failed" and result["error"]["type"] == "TrainingError"


def test_a_sweep_of_six_with_failures(tmp_path):
    steps = ["trainer.steps=2", "trainer.validate_every=2"]
    grid = ["-m", "seed=0,1", "method.loss.temperature=0.07,0,0.1"]
    done = command("train", *TINY, *steps, *grid, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (sweep,) = tmp_path.glob("outputs/*/*-sweep")
    rows = list(csv.DictReader((sweep / "summary.csv").read_text().splitlines()))
    assert [r["status"] for r in rows] == ["completed"] * 4 + ["failed"] * 2
    validations = [float(r["validation"]) for r in rows[:4]]
    assert validations == sorted(validations, reverse=True)
    assert all(
        "method.loss.temperature=0 must be a positive number" in r["error"] for r in rows[4:]
    )
    text = (sweep / "summary.md").read_text()
    assert "4 of 6 runs completed" in text and "Over seeds" in text
    assert "4 of 6 runs completed" in done.stdout and "must be a positive number" in done.stdout
    assert command("report", str(sweep), cwd=tmp_path).returncode == 1
    assert (sweep / "summary.md").read_text() == text


def test_ctrl_c_ends_a_whole_sweep_and_leaves_its_summary(tmp_path):
    process = start(tmp_path, "-m", "seed=0,1,2", "trainer.steps=100000")
    for _ in range(1200):
        started = [
            p for p in tmp_path.glob("outputs/*/*-sweep/0/metrics.jsonl") if p.stat().st_size
        ]
        if started:
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert "Traceback" not in stderr
    sweep = started[0].parent.parent
    assert "interrupted" in (sweep / "summary.csv").read_text()
    assert not (sweep / "1").exists()


def test_progress_bars_are_silent_without_a_terminal(tmp_path):
    done = command("train", *TINY, "trainer.steps=3", cwd=tmp_path)
    assert done.returncode == 0
    assert "it/s" not in done.stderr and "step/s" not in done.stderr and "\r" not in done.stderr
    assert os.linesep.join(["step 3"])[:6] in done.stderr
