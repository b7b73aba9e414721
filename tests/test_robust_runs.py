"""Runs whose samples lack modalities, in training and in evaluation."""

import csv
import json

import pyarrow.parquet as pq

from tests.conftest import SMOKE, command

LACKING = (
    "[{name: missing, modality: text, amount: 0.3, side: support}, {name: noise, modality: "
    "image, amount: 0.2}]"
)
MAPPINGS = "[image:image,image+text:image]"
ROBUSTNESS = "evaluation/evaluators=[few_shot,robustness]"
QUICK = [
    "evaluation.episodes=4",
    "evaluation.validation_episodes=2",
    "episode.eval.ways=[3]",
    "episode.eval.shots=[1]",
]


def test_what_is_trained_on_gaps_is_judged_on_more_of_them(tmp_path):
    options = [
        *SMOKE,
        *QUICK,
        "encoder/fusion=gated",
        "encoder.fusion.dropout=0.2",
        f"episode.train.corruptions={LACKING}",
    ]
    mappings = [f"episode.{side}.mappings={MAPPINGS}" for side in ("train", "eval")]
    done = command("train", *options, *mappings, "hydra.run.dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "run" / "result.json").read_text())["status"] == "completed"
    more = ["evaluation.robustness.amounts=[0,1]", "evaluation.robustness.side=support"]
    done = command("eval", "checkpoint=run", "name=worse", ROBUSTNESS, *more, cwd=tmp_path)
    assert done.returncode == 0 and "area under the curve" in done.stdout, done.stderr
    folder = tmp_path / "run" / "eval" / "worse"
    with (folder / "results.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["corruption"]]
    areas = [line for line in lines if line["corruption"] == "all"]
    assert {(line["support"], line["query"]) for line in areas} == {
        ("image", "image"),
        ("image+text", "image"),
    }
    scores = [r for r in pq.read_table(folder / "episodes.parquet").to_pylist() if r["corruption"]]
    assert len(scores) == 4 * len(lines) and "Robustness" in (folder / "report.html").read_text()
    few = ["dataset.val=0.001", "evaluation.robustness.split=val"]
    done = command("eval", "checkpoint=run", "name=few", ROBUSTNESS, *few, cwd=tmp_path)
    assert done.returncode == 2 and "classes of the val split" in done.stderr, done.stderr


def test_mistakes_in_what_is_corrupted_are_told(tmp_path):
    done = command(
        "train",
        *SMOKE,
        "episode.eval.corruptions=[{name: missing, modality: audio, amount: 0.5}]",
        cwd=tmp_path,
    )
    assert (
        done.returncode == 2
        and "episode.eval.corruptions[0]: no mapping shows 'audio'" in done.stderr
    )
    done = command(
        "train",
        *SMOKE,
        "episode.train.corruptions=[{name: typos, modality: image, amount: 1}]",
        "hydra.run.dir=b",
        cwd=tmp_path,
    )
    assert done.returncode == 2 and "modality=image must be one of text" in done.stderr
