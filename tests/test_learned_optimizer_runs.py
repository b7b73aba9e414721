"""Whole runs of ``method=learned_optimizer``, as a user starts them."""

import json
import re

import pytest

from tests.conftest import command

SHORT = [
    "method=learned_optimizer",
    "encoder=mlp",
    "encoder.width=16",
    "trainer.steps=2",
    "trainer.warmup=0",
]
SHORT += ["encoder.image.hidden=32", "encoder.text.hidden=32", "episode.eval.shots=1"]
SHORT += ["trainer.validate_every=1", "trainer.checkpoint_every=1", "evaluation.episodes=6"]
SHORT += [
    "evaluation.validation_episodes=4",
    "evaluation.lr_search_episodes=2",
    "hydra.run.dir=run",
]
QUADRATIC = [
    "experiment=quadratic",
    "trainer.meta_batch_size=4",
    "trainer.validate_every=1",
    "trainer.checkpoint_every=1",
]
QUADRATIC += [
    "method.inner_steps=4",
    "method.truncation_length=2",
    "evaluation.episodes=6",
    "evaluation.validation_episodes=4",
]
QUADRATIC += ["evaluation.lr_search_episodes=4", "hydra.run.dir=run"]


def result(folder):
    return json.loads((folder / "result.json").read_text())


def predictors(found):
    return {c["predictor"] for c in found["results"]}


@pytest.mark.parametrize("preset", ["lstm", "maml"])
def test_a_run_is_judged_beside_its_rivals(preset, tmp_path):
    extra = [
        "episode.train.ways=5",
        "method.inner_steps=2",
        f"method/algorithm={preset}",
        "method.transductive=false",
    ]
    done = command("train", *SHORT, *extra, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found, rule = result(tmp_path / "run"), {"lstm": "lstm", "maml": "sgd"}[preset]
    learned = f"learned_optimizer/{rule}"
    assert predictors(found) >= {learned, "learned_optimizer/no adaptation"}
    assert all(any(f"{name}, rate" in p for p in predictors(found)) for name in ("sgd", "adam"))
    message = {(d["minus"], d["metric"]) for d in found["differences"] if d["predictor"] == learned}
    assert message >= {
        ("learned_optimizer/no adaptation", "accuracy"),
        ("learned_optimizer/no adaptation", "log loss"),
    }
    info = json.loads((tmp_path / "run" / "run.json").read_text())["method"]
    assert (
        info["order"] == {"lstm": "first order", "maml": "second order"}[preset]
        and info["adapted_parameters"] > 0
    )
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Loss against steps" in report and info["order"] in report


def test_a_run_on_problems_is_resumed_and_judged_elsewhere(tmp_path):
    done = command("train", *QUADRATIC, "trainer.steps=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = result(tmp_path / "run")
    assert {c["step"] for c in found["results"]} == {4} and {
        c["metric"] for c in found["results"]
    } == {
        "mean loss",
        "median loss",
    }
    assert (
        "optimization" in done.stdout
        and "Loss against steps" in (tmp_path / "run" / "report.html").read_text()
    )

    done = command("train", "resume=run", "trainer.steps=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert result(tmp_path / "run")["steps"] == 3

    done = command(
        "eval",
        "checkpoint=run",
        "name=wide",
        "problem.dimensions=5",
        "evaluation.optimization.horizon_multiples=[1,3]",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert {c["step"] for c in result(tmp_path / "run" / "eval" / "wide")["results"]} == {4, 12}


def test_a_mistake_leaves_nothing_behind(tmp_path):
    done = command(
        "train", *QUADRATIC, "method/update_rule=adam", "~method.update_rule.inputs", cwd=tmp_path
    )
    assert (
        done.returncode == 2
        and "nothing to learn" in done.stderr
        and "Traceback" not in done.stderr
    )
    done = command("train", *QUADRATIC, "evaluation/evaluators=[robustness]", cwd=tmp_path)
    assert (
        done.returncode == 2
        and "evaluation.robustness cannot measure problems" in done.stderr
        and "Traceback" not in done.stderr
    )


FEW = [
    "dataset.waves=60",
    "trainer.validate_every=1",
    "evaluation.episodes=6",
    "evaluation.validation_episodes=4",
]
DIVERGING = ["method.inner_steps=1", "evaluation.controls=false", "hydra.run.dir=run"]


@pytest.mark.parametrize(
    "options",
    [
        [
            *SHORT,
            "method/algorithm=fomaml",
            "method.update_rule.inner_lr=1e6",
            "method.eval_inner_steps=8",
            "encoder.normalize=false",
        ],
        [
            "experiment=sinusoid",
            "method.update_rule.inner_lr=0.5",
            "method.eval_inner_steps=300",
            "trainer.steps=2",
            *FEW,
        ],
    ],
    ids=["classes", "scores"],
)
def test_a_run_whose_tasks_diverge_in_evaluation_ends_with_its_result(options, tmp_path):
    """Steps that training does not take lead some tasks, or all, to what is no number."""
    done = command("train", *options, *DIVERGING, cwd=tmp_path)
    assert done.returncode == 0 and "diverged" in done.stderr, done.stderr
    run = tmp_path / "run"
    assert result(run)["status"] == "completed" and any(
        c["mean"] is None for c in result(run)["results"]
    )
    for file in (*run.rglob("*.json"), run / "metrics.jsonl"):
        assert not re.search(r"\b(NaN|-?Infinity)\b", file.read_text()), file
    assert "diverged" in (run / "report.html").read_text()
    done = command("eval", "checkpoint=run", "name=again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
