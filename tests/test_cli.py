"""The console scripts as a user meets them."""

import errno
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from mmml.cli.guard import guarded
from tests.conftest import SMOKE, command, only_run

GOLDEN = Path(__file__).parent / "golden_job.yaml"


def test_help_is_quick_and_imports_nothing_heavy(tmp_path):
    code = (
        "import sys, time; sys.argv = ['mmml-train', '--help']; from mmml.cli import train\n"
        "try: train()\n"
        "except SystemExit as e: assert not e.code\n"
        "heavy = {'torch', 'transformers', 'matplotlib', 'sklearn', 'scipy', 'numpy'} "
        "& set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert "HEAVY []" in done.stdout
    assert (
        " glyphs*, ict_mmmo" in done.stdout
        and 'eval "$(mmml-train -sc install=bash)"' in done.stdout
    )
    assert "steps: " in done.stdout and "# learning rate at the top of the schedule" in done.stdout
    assert not list(tmp_path.iterdir())


def test_help_shows_the_options_of_a_choice(tmp_path):
    done = command("train", "encoder=mlp", "--help", cwd=tmp_path)
    assert (
        "encoder=mlp*, pretrained, raw, small" in done.stdout
        and "encoder/text=byte_transformer, mlp_text*" in done.stdout
    )
    assert (
        "name: mlp_image" in done.stdout
        and "name: conv4" not in done.stdout
        and "defaults" not in done.stdout
    )


@pytest.mark.parametrize("program", ["eval", "report", "predict", "data"])
def test_the_other_programs_help_too(program, tmp_path):
    done = command(program, "--help", cwd=tmp_path)
    assert done.returncode == 0 and f"mmml-{program}:" in done.stdout
    message = {"predict": "support= needs", "data": "mmml-data check PATH"}.get(program, "run")
    assert_one_sentence(
        command(program, *(["check"] if program == "data" else []), cwd=tmp_path), message, program
    )


def test_the_composed_config_is_as_recorded(tmp_path):
    """A change of defaults must be meant; then write the golden file anew with:
    mmml-train --cfg job > it.
    """
    done = command("train", "--cfg", "job", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == GOLDEN.read_text()


def test_completion_offers_choices_and_options(tmp_path):
    env = {"COMP_LINE": "mmml-train trainer.st", "COMP_POINT": "21"}
    done = command("train", "-sc", "query=bash", cwd=tmp_path, **env)
    assert "trainer.steps=" in done.stdout
    env = {"COMP_LINE": "mmml-train encoder=", "COMP_POINT": "19"}
    done = command("train", "-sc", "query=bash", cwd=tmp_path, **env)
    assert {"encoder=small", "encoder=mlp"} <= set(done.stdout.split())


def assert_one_sentence(done, message, program="train"):
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"mmml-{program}: ") and re.search(message, lines[0]), done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trainer.stepz=3"], "trainer.stepz is no option; did you mean 'trainer.steps'"),
        (["task.threshold=4"], "task.threshold belongs to task=regression, which is not chosen"),
        (["dataset.missing=keep"], "dataset.missing belongs to dataset=manifest"),
        (["metod=metric"], "metod is no option; did you mean 'method'"),
        (["encoder=smal"], "encoder=smal: there is no such choice; did you mean 'small'"),
        (["trainer.steps=abc"], "could not be converted to Integer"),
        (["episode.eval.ways=-1"], "episode.eval.ways=-1 must be"),
        (["episode.eval.mappings=[text:text]"], "has 'text' on both sides"),
        (["episode.train.mappings=[imgae:image]"], "did you mean 'image'"),
        (
            ["episode.train.ways=99999"],
            "episode.train.ways=99999 is more than the 1311 classes of the train split",
        ),
        (
            ["episode.eval.shots=9"],
            (
                "shots=9 plus queries=5 need 14 samples of a class, but class '.*' "
                "of the val split has 12"
            ),
        ),
        (
            ["method=learned_optimizer", "method/algorithm=maml", "episode.eval.ways=20"],
            "episode.eval.ways=20 has 20 classes, and method.init=learned has a row for each of 5",
        ),
        (
            ["method.loss=contrastive"],
            "method.loss=contrastive: name the choice by method/loss=contrastive",
        ),
        (
            ["method/loss=infonc"],
            "method/loss=infonc: there is no such choice; did you mean 'infonce'",
        ),
        (["trainer.device=tpu"], "trainer.device=tpu is not available here"),
        (["encoder.image.size=big"], "encoder.image.size=big: expected int"),
        (["experiment=null"], "experiment=null: name a choice, or leave it out"),
        (["foo"], "foo cannot be read: write key=value"),
        (["+steps=5"], "steps is no option; did you mean 'trainer.steps'"),
        (["episode.train.mappings=image:image"], r"a list is written \[a,b\]"),
        (["episode.train.mappings=['image:image','image:image']"], "names no mapping twice"),
        (["encoder.image=3"], "encoder.image is missing"),
        (["encoder.width=wide"], "encoder.width=wide must be a positive whole number"),
        (["encoder.width=0"], "encoder.width=0 must be a positive whole number"),
        (["encoder.normalize=maybe"], "encoder.normalize=maybe: expected bool"),
        (["encoder.image.size=0"], "encoder.image.size=0 must be 16 or more"),
        (["encoder.text.heads=3"], "encoder.text.channels=128 must be a multiple of heads=3"),
        (["method.loss.temperature=nan"], "method.loss.temperature=nan must be a positive number"),
        (["evaluation.baselines=[chanc]"], "there is no baseline of that name"),
        (["resume="], "resume= needs a run directory or a checkpoint file"),
        (["hydra.run.dir="], "hydra.run.dir= is empty"),
        (["resume=nowhere"], "resume=nowhere: there is no such file or folder"),
        (["resume=."], r"resume=\. is no run"),
        (["-m", "resume=.", "seed=0,1"], "resume= goes on with one run"),
        (["-m", "trainer.stepz=1,2"], "trainer.stepz is no option"),
        (["-m", "method=metric,nope"], "method=nope: there is no such choice"),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_bad_input_gets_one_sentence(arguments, message, tmp_path):
    assert_one_sentence(command("train", *arguments, cwd=tmp_path), message)


@pytest.mark.parametrize(
    "arguments", [["trainer.steps=2"], ["-m", "seed=0,1"], ["resume=run"]], ids=" ".join
)
@pytest.mark.parametrize("rank", ["0", "1"])
def test_training_on_several_processes_is_refused(arguments, rank, tmp_path):
    done = command("train", *arguments, cwd=tmp_path, RANK=rank, WORLD_SIZE="2")
    assert_one_sentence(
        done, "WORLD_SIZE=2: training on several processes is not supported yet; start one"
    )
    assert not list(tmp_path.iterdir())


def test_torchrun_may_start_one_process(tmp_path):
    done = command("train", "--cfg", "job", cwd=tmp_path, RANK="0", LOCAL_RANK="0", WORLD_SIZE="1")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("option", ["hydra.run.dir", "hydra.sweep.dir"])
def test_a_folder_that_cannot_be_written_is_found_before_training(option, tmp_path):
    (tmp_path / "file").write_text("")
    sweep = ["-m", "seed=0,1"] if "sweep" in option else []
    done = command("train", *sweep, f"{option}=file/run", cwd=tmp_path)
    assert_one_sentence(done, "the output folder file/run cannot be written")


def test_a_folder_that_holds_a_run_is_not_written_to(finished, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    done = command("train", *SMOKE, f"hydra.run.dir={finished}", cwd=tmp_path)
    assert_one_sentence(done, "holds a run already")
    assert before == {p: p.stat().st_mtime_ns for p in finished.rglob("*")}


def test_a_path_with_spaces_brackets_and_equals(tmp_path):
    folder = tmp_path / "a [b] = c's"
    done = command("train", *SMOKE, "trainer.steps=2", f"hydra.run.dir={folder}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (folder / "report.html").is_file()
    done = command("train", f"resume={folder}", "trainer.steps=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((folder / "result.json").read_text())["steps"] == 3


class TestEvaluation:
    def test_writes_beside_the_run(self, finished, tmp_path):
        done = command(
            "eval",
            f"checkpoint={finished}",
            "name=ten",
            "episode.eval.ways=10",
            "evaluation.independence_check=true",
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        result = json.loads((finished / "eval" / "ten" / "result.json").read_text())
        assert {c["ways"] for c in result["results"] if c["task"] == "classification"} == {10}
        assert (finished / "eval" / "ten" / "report.html").is_file()
        assert_one_sentence(
            command("eval", f"checkpoint={finished}", "name=ten", cwd=tmp_path),
            "exists already; choose another name",
            "eval",
        )

    def test_agrees_with_the_end_of_training(self, finished, tmp_path):
        done = command(
            "eval",
            f"checkpoint={finished / 'checkpoints' / 'best.ckpt'}",
            "name=again",
            cwd=tmp_path,
        )
        assert done.returncode == 0, done.stderr
        panels = [
            json.loads((finished / p).read_text())["results"]
            for p in ("result.json", "eval/again/result.json")
        ]
        assert panels[0] == panels[1]

    def test_a_checkpoint_may_be_moved(self, finished, tmp_path):
        import shutil

        shutil.copy(finished / "checkpoints" / "best.ckpt", tmp_path / "moved.ckpt")
        done = command(
            "eval", "checkpoint=moved.ckpt", "name=m", "evaluation.episodes=5", cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert list(tmp_path.glob("outputs/eval/m/result.json"))

    @pytest.mark.parametrize(
        ("override", "message"),
        [
            ("dataset.split_seed=1", r"trained or selected on \d+ of these test classes"),
            ("dataset.val=0.05", r"trained or selected on \d+ of these test classes"),
            ("name=../up", "must be a plain folder name"),
            ("method/loss=triplet", "method belongs to the finished run"),
            ("episode.eval.wais=3", "did you mean 'episode.eval.ways'"),
            ("episode.eval.ways=9999", "more than the 281 classes"),
        ],
    )
    def test_refuses(self, finished, tmp_path, override, message):
        assert_one_sentence(
            command("eval", f"checkpoint={finished}", override, cwd=tmp_path), message, "eval"
        )

    def test_needs_a_checkpoint(self, tmp_path):
        assert_one_sentence(
            command("eval", "name=x", cwd=tmp_path), "checkpoint= needs a run directory", "eval"
        )
        assert_one_sentence(
            command("eval", "some/run", cwd=tmp_path), "write checkpoint=some/run", "eval"
        )


def test_a_refused_resume_touches_nothing(finished, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in finished.rglob("*")}
    for override in ("trainer.device=tpu", "trainer.steps=2", "episode.eval.ways=9999", "seed=3"):
        assert_one_sentence(
            command("train", f"resume={finished}", override, cwd=tmp_path), override.split("=")[0]
        )
    assert before == {p: p.stat().st_mtime_ns for p in finished.rglob("*")}


def test_report_is_written_anew(finished, tmp_path):
    before = (finished / "report.html").read_text()
    done = command("report", str(finished), cwd=tmp_path)
    assert done.returncode == 0 and done.stdout.strip().endswith("report.html")
    assert (finished / "report.html").read_text() == before
    with tempfile.TemporaryDirectory() as empty:
        assert_one_sentence(command("report", empty, cwd=tmp_path), "is no run directory", "report")


def test_the_run_directory_is_complete(finished):
    names = {str(p.relative_to(finished)) for p in finished.rglob("*") if p.is_file()}
    assert names >= {
        ".hydra/config.yaml",
        ".hydra/overrides.yaml",
        "config.yaml",
        "run.json",
        "train.log",
        "metrics.jsonl",
        "result.json",
        "report.html",
        "checkpoints/last.ckpt",
        "checkpoints/best.ckpt",
        "eval/test/episodes.parquet",
    }
    result = json.loads((finished / "result.json").read_text())
    assert (
        result["status"] == "completed" and result["error"] is None and result["overrides"] == SMOKE
    )
    predictors = {c["predictor"] for c in result["results"]}
    assert predictors == {"metric/prototype", "raw/nearest", "chance"}
    less = {"raw/nearest", "metric/prototype, image:image", "metric/prototype, text:image"}
    assert {(d["predictor"], d["minus"]) for d in result["differences"]} == {
        ("metric/prototype", b) for b in less
    }
    info = json.loads((finished / "run.json").read_text())
    assert info["seeds"] == {"seed": 0, "dataset.split_seed": 0, "evaluation.seed": 0}
    assert info["numerics"]["precision"] in ("fp32", "bf16") and info["versions"]["torch"]


def test_only_run_is_found(finished):
    assert only_run(finished.parent.parent.parent) == finished


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_an_output_that_is_full_is_one_sentence(arguments):
    code = ["-c", "import sys; from mmml.cli import data; data()", *arguments]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, *code], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 2
    assert done.stderr == (
        "mmml-data: standard output cannot be written (No space left on device): make room there, "
        "or write to another disk\n"
    )


def test_a_full_disk_names_the_file_and_another_error_is_a_bug(capsys):
    def fail(number):
        raise OSError(number, os.strerror(number), "a/b.json")

    assert guarded("mmml-report", lambda arguments: fail(errno.EDQUOT)) == 2
    assert capsys.readouterr().err.startswith(
        "mmml-report: a/b.json cannot be written (Disk quota exceeded): make"
    )
    with pytest.raises(FileNotFoundError):
        guarded("mmml-report", lambda arguments: fail(errno.ENOENT))


def test_without_a_working_folder_there_is_help_and_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    monkeypatch.setattr(sys, "argv", ["mmml-report", "run"])
    assert guarded("mmml-report", lambda arguments: 0) == 2
    assert "the working folder was removed" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["mmml-report", "--help"])
    assert guarded("mmml-report", lambda arguments: 0) == 0
