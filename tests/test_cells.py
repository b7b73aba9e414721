"""Every task by both methods, each on two datasets, from the command line."""

import csv
import json

import numpy as np
import pytest

from tests.conftest import command
from tests.data.making import write_csv
from tests.predict.making import features

SHORT = ["trainer.steps=2", "trainer.validate_every=2", "trainer.warmup=0", "evaluation.episodes=4"]
SHORT += [
    "evaluation.validation_episodes=2",
    "evaluation.lr_search_episodes=0",
    "evaluation/evaluators=[few_shot]",
]
SHORT += [
    "episode.train.shots=2",
    "episode.train.queries=3",
    "episode.eval.shots=[2]",
    "episode.eval.queries=3",
]
SHORT += ["encoder.width=16", "hydra.run.dir=run"]
TABLE = [
    "dataset=manifest",
    "dataset.root=set",
    "dataset.features=f.npy",
    "dataset.val=0.25",
    "dataset.test=0.25",
]
TABLE += [f"episode.{side}.mappings=[features:features]" for side in ("train", "eval")]
CLIPS = [
    "dataset=moving_domains",
    "dataset.domains=12",
    "dataset.videos=6",
    "encoder.video.size=16",
]
CLIPS += [f"episode.{side}.mappings=[video:video]" for side in ("train", "eval")]
IMAGES = [
    "dataset=glyphs",
    "encoder=mlp",
    *(f"episode.{side}.mappings=[image:image]" for side in ("train", "eval")),
]
SMALL = [f"method.language_model.{size}" for size in ("width=16", "heads=2", "max_length=8")]

TASKS = {
    "classification": ["episode=five_way", "episode.train.ways=2", "episode.eval.ways=[2]"],
    "regression": ["episode=regression"],
    "retrieval": ["episode=pairs"],
    "generation": ["episode=pairs"],
}
DATASETS = {
    "classification": {"glyphs": IMAGES, "manifest": TABLE},
    "regression": {"sinusoid": ["dataset=sinusoid", "dataset.waves=20"], "manifest": TABLE},
    "retrieval": {"moving_domains": CLIPS, "manifest": TABLE},
    "generation": {"moving_domains": CLIPS, "manifest": TABLE},
}
METHODS = {"metric": [], "learned_optimizer": ["method.inner_steps=2", "method.init=learned"]}
WRITERS = {("generation", "learned_optimizer"): SMALL}
CELLS = [(task, method, name) for task in TASKS for method in METHODS for name in DATASETS[task]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Eight classes of eight rows, each with numbers, a text and a score."""
    root = tmp_path_factory.mktemp("cells")
    luck = np.random.default_rng(0).normal(size=64)
    features(root / "set", [i // 8 for i in range(64)], seed=0)
    rows = [
        {"id": i, "label": f"c{i // 8}", "text": f"number {i}", "score": round(x, 3)}
        for i, x in enumerate(luck)
    ]
    write_csv(root / "set" / "metadata.csv", rows)
    return root


@pytest.mark.parametrize(
    ("task", "method", "dataset"), CELLS, ids=[" ".join(cell) for cell in CELLS]
)
def test_every_cell_trains_and_is_judged(task, method, dataset, folder, tmp_path):
    (tmp_path / "set").symlink_to(folder / "set")
    parts = [
        f"task={task}",
        f"method={method}",
        *METHODS[method],
        *WRITERS.get((task, method), []),
        *DATASETS[task][dataset],
        *TASKS[task],
        *SHORT,
    ]
    done = command("train", *parts, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "run" / "result.json").read_text())
    own = [
        c
        for c in found["results"]
        if c["predictor"].startswith(method) and "," not in c["predictor"]
    ]
    assert found["status"] == "completed" and {c["task"] for c in own} == {task}
    assert all(np.isfinite([c["mean"], c["ci95"]]).all() for c in own)


def test_texts_are_predicted_into_a_table(folder, tmp_path):
    (tmp_path / "set").symlink_to(folder / "set")
    parts = ["task=generation", *DATASETS["generation"]["manifest"], *TASKS["generation"], *SHORT]
    assert command("train", *parts, cwd=tmp_path).returncode == 0
    arguments = [
        "checkpoint=run",
        "support=set",
        "query=set",
        "predict.features=f.npy",
        "predict.output=told.csv",
    ]
    done = command("predict", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with (tmp_path / "told.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["id"] for row in rows] == [str(i) for i in range(64)]
    assert all(row["prediction"].startswith("number ") and not row["problem"] for row in rows)
