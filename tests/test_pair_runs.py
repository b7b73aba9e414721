"""Whole runs of tasks whose targets are values of a modality, as a user starts them."""

import json

import pytest

from tests.conftest import command

SHORT = [
    "dataset=moving_domains",
    "dataset.domains=12",
    "dataset.videos=6",
    "episode=pairs",
    "trainer.steps=2",
]
SHORT += [
    "episode.train.shots=2",
    "episode.train.queries=3",
    "episode.eval.shots=[1,3]",
    "episode.eval.queries=3",
]
SHORT += [
    "trainer.validate_every=1",
    "trainer.checkpoint_every=1",
    "trainer.warmup=0",
    "evaluation.episodes=4",
]
SHORT += [
    "evaluation.validation_episodes=2",
    "evaluation.lr_search_episodes=0",
    "hydra.run.dir=run",
]
SHORT += [
    "encoder.video.channels=8",
    "encoder.video.size=16",
    "encoder.width=16",
    "evaluation.baselines=[]",
]
SHORT += [f"episode.{side}.mappings=[video:video]" for side in ("train", "eval")]
LEARNED = ["method=learned_optimizer", "method.inner_steps=2"]
WRITTEN = [
    "task=generation",
    "method.language_model.width=16",
    "method.language_model.heads=2",
    "method.language_model.max_length=12",
    "method.language_model.vocabulary=64",
]


def result(folder):
    return json.loads((folder / "result.json").read_text())


def panel(found):
    return {(c["task"], c["predictor"], c["metric"]) for c in found["results"]}


def test_texts_are_written_resumed_and_judged(tmp_path):
    done = command("train", *SHORT, *LEARNED, "method.init=learned", *WRITTEN, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = result(tmp_path / "run")
    names = ("learned_lr", "no adaptation", "learned_lr, permuted targets")
    assert panel(found) >= {("generation", f"learned_optimizer/{n}", "chrF") for n in names}
    assert all(c["target"] == "text" and "candidates" not in c for c in found["results"])
    assert {d["minus"] for d in found["differences"]} >= {
        f"learned_optimizer/{n}" for n in names[1:]
    }
    report = (tmp_path / "run" / "report.html").read_text()
    assert "Queries and answers" in report and "video:video → text" in report

    done = command("train", "resume=run", "trainer.steps=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert result(tmp_path / "run")["steps"] == 3
    beams = ["method.language_model.decoding=beam", "method.language_model.beams=2"]
    done = command("eval", "checkpoint=run", "name=beams", *beams, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    judged = result(tmp_path / "run" / "eval" / "beams")
    assert judged["status"] == "completed" and panel(judged) == panel(found)
    other = [o for o in SHORT if "hydra" not in o] + [
        "hydra.run.dir=frozen",
        "init_from=run",
        "encoder.frozen=true",
    ]
    done = command("train", *other, *LEARNED, "method.init=learned", *WRITTEN, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_checkpoints_are_compared_and_corrupted_by_their_own_words(tmp_path):
    """Each checkpoint has its own word pieces and language model; targets are not corrupted."""
    for seed in (0, 1):
        run = [f"hydra.run.dir=run{seed}", f"seed={seed}", "method.init=learned", *WRITTEN]
        done = command(
            "train", *(o for o in SHORT if "hydra" not in o), *LEARNED, *run, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
    done = command("eval", "checkpoint=[run0,run1]", "name=both", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (both,) = tmp_path.glob("**/both/result.json")
    scores = {c["shots"]: c["mean"] for c in result(both.parent)["results"] if scored(c, "run0")}
    alone = {
        c["shots"]: c["mean"]
        for c in result(tmp_path / "run0")["results"]
        if scored(c, "learned_lr")
    }
    assert scores == pytest.approx(alone)
    done = command(
        "eval",
        "checkpoint=run0",
        "name=corrupted",
        "evaluation/evaluators=[few_shot,robustness]",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert {
        r["modality"]
        for r in result(tmp_path / "run0" / "eval" / "corrupted")["results"]
        if "amount" in r
    } == {"video"}


def scored(cell, name):
    return cell["metric"] == "chrF" and name in cell["predictor"] and cell["role"] == "learned"


def test_answers_are_found(tmp_path):
    done = command(
        "train", *SHORT, *LEARNED, "method.init=prototype", "task=retrieval", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    found = result(tmp_path / "run")
    (chance,) = [
        c
        for c in found["results"]
        if (c["predictor"], c["metric"], c["shots"]) == ("chance", "R@1", 1)
    ]
    # Six sentences of a domain, less that of the support set.
    assert chance["mean"] == pytest.approx(1 / 5)
    assert any("permuted targets" in name for _, name, _ in panel(found))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["method/classifier=prototype", "task=retrieval"],
            "method/classifier=prototype needs classes, and task=retrieval has none",
        ),
        (
            [*LEARNED, "method.init=prototype", *WRITTEN],
            "method.init=prototype computes a head, and there is none for texts",
        ),
        (
            ["method/classifier=attention", "task=retrieval", "task.target=audio"],
            "task.target=audio: this dataset has video",
        ),
        (
            ["method/classifier=attention", "task=regression"],
            "task=regression needs a score for each sample",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(options, message, tmp_path):
    done = command("train", *SHORT, *options, cwd=tmp_path)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
