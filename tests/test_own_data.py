"""The same commands for every modality, on real files: check, train, predict classes
that were never seen.
"""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from mmml.cli.mmml_data import data as mmml_data
from mmml.cli.mmml_predict import predict
from mmml.data.base import datasets
from tests import own_data
from tests.conftest import command
from tests.data.making import write_csv

SHORT = ["trainer.validate_every=100", "trainer.warmup=1", "encoder.width=16"]
SHORT += ["evaluation.episodes=20", "evaluation.validation_episodes=10"]

SETS = {
    "speech": (
        lambda data, root: own_data.speech(data, root, takes=12),
        (
            "episode.eval.mappings=[audio:audio] episode.eval.ways=2 trainer.steps=30 "
            "trainer.meta_batch_size=2"
        ),
        0.5,
    ),
    "emoji": (
        lambda data, root: own_data.emoji(data, root, count=60),
        "episode.eval.mappings=[image:image,text:image] episode.eval.shots=1 "
        "episode.eval.queries=3 episode.train.queries=3 encoder.image.colour=true trainer.steps=10",
        0.5,
    ),
    "gestures": (
        own_data.gestures,
        "episode.eval.mappings=[video:video] episode.eval.ways=3 episode.eval.shots=1 "
        "episode.eval.queries=1 episode.train.queries=1 encoder.video.frames=4 trainer.steps=3",
        0.9,  # its second takes are the first, smaller and a little darker
    ),
    "drawings": (
        lambda data, root: own_data.drawings(data, root, characters=40),
        "episode.eval.mappings=[strokes:strokes] trainer.steps=10",
        0.3,
    ),
}


def split_up(run: Path, modality: str) -> tuple[str, str, list[str]]:
    """Manifests of the run's test classes: up to five samples of each as support,
    others as queries.
    """
    options = yaml.safe_load((run / "config.yaml").read_text())["dataset"]
    dataset = datasets.build_section(options, "dataset")
    test = dataset.load([modality])["test"]
    by_id = dict(
        zip(dataset.rows.column("id").to_pylist(), read_table(dataset.rows.path), strict=True)
    )
    support, query = [], []
    for c, name in enumerate(test.classes[:5]):
        own = [by_id[test.ids[r].as_py()] for r in range(test.starts[c], test.starts[c + 1])]
        assert {r["label"] for r in own} == {name}
        count = min(5, len(own) // 2)
        support += own[:count]
        query += own[count : count + 8]
    place = dataset.rows.folder
    write_csv(place / "support.csv", support)
    write_csv(place / "query.csv", query)
    return str(place / "support.csv"), str(place / "query.csv"), [q["label"] for q in query]


def read_table(path: Path) -> list[dict]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", SETS)
def test_check_train_and_predict_unseen_classes(name, real_data, tmp_path, monkeypatch, capsys):
    make, options, floor = SETS[name]
    overrides, modality = options.split(), options.partition("[")[2].partition(":")[0]
    make(real_data, tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    assert (
        mmml_data(["check", "set", *overrides]) == 0
        and "data:image/" in (tmp_path / "data.html").read_text()
    )
    common = ["dataset=manifest", "dataset.root=set", "episode=five_way", "hydra.run.dir=run"]
    done = command("train", *common, *SHORT, *overrides, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "completed" and {c["predictor"] for c in result["results"]} >= {
        "raw/nearest",
        "chance",
    }
    if name != "gestures":  # of which three test classes make no map
        assert "data:image/" in (tmp_path / "run" / "report.html").read_text()
    support, query, truth = split_up(tmp_path / "run", modality)
    assert (
        predict(["checkpoint=run", f"support={support}", f"query={query}", "predict.output=p.csv"])
        == 0
    )
    found = read_table(tmp_path / "p.csv")
    right = sum(p["prediction"] == t for p, t in zip(found, truth, strict=True)) / len(truth)
    assert right >= floor, f"{right} of {len(truth)} queries"
    assert all(
        0 < float(p["probability"]) <= 1 and p["neighbor_3" if len(truth) > 9 else "neighbor_1"]
        for p in found
    )


def test_scores_of_speakers_on_traits(real_data, tmp_path, monkeypatch):
    own_data.traits(real_data, tmp_path / "set")
    overrides = ["dataset=manifest", "dataset.root=set", "task=regression", "episode=regression"]
    overrides += ["method/classifier=attention", "trainer.steps=5", *SHORT, "hydra.run.dir=run"]
    done = command("train", *overrides, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    panel = json.loads((tmp_path / "run" / "result.json").read_text())["results"]
    assert {c["metric"] for c in panel} == {"MAE", "Pearson r"} and {
        c["predictor"] for c in panel
    } == {
        "metric/attention",
        "metric/attention, permuted targets",
        "metric/attention, training-set support",
        "constant/mean",
        "constant/median",
        "raw/nearest",
    }
    scores = pq.read_table(tmp_path / "run" / "eval" / "test" / "episodes.parquet")
    assert scores.num_rows == 20 * len(panel)
    monkeypatch.chdir(tmp_path)
    rows = [r for r in read_table(tmp_path / "set" / "metadata.csv") if r["label"] == "trait 00"]
    write_csv(tmp_path / "set" / "support.csv", rows[:40])
    write_csv(tmp_path / "set" / "query.csv", rows[40:60])
    assert predict(["checkpoint=run", "support=set/support.csv", "query=set/query.csv"]) == 0
    found = read_table(tmp_path / "predictions.csv")
    assert len(found) == 20 and all(1 <= float(p["prediction"]) <= 7 for p in found)
