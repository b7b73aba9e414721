"""A best score is kept only where it measures what later ones do."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.config.schema import EvalEpisodes, EvaluationConfig
from mmml.datasets import Column, Per
from mmml.episodes.corrupt import build_corruptions
from mmml.evaluation.judge import Judge
from mmml.evaluation.panel import episode_settings
from mmml.tasks import tasks
from tests.conftest import SMOKE, command

MODALITIES = {"image": Per.SAMPLE, "text": Per.CLASS}
NOISE = [{"name": "noise", "modality": "image", "amount": 0.1}]


def judge_of(samples, episodes=20, seed=0, **changes):
    shape = {"ways": [3], "shots": [1, 2], "queries": 2, "mappings": ["image:image", "text:image"]} | changes
    settings = episode_settings(EvalEpisodes(**shape), MODALITIES, tasks.build("classification", {}, "task"))
    options = EvaluationConfig(20, episodes, seed, True, ["raw/nearest"], False)
    return Judge({"val": samples, "test": samples}, MODALITIES, settings, options)


def test_it_is_the_same_for_the_same_episodes(samples):
    copied = replace(samples, columns=dict(samples.columns), superclasses=np.zeros(6, int), domains=None)
    assert judge_of(samples).fingerprint() == judge_of(copied).fingerprint()
    one_group_each = replace(samples, groups=np.arange(len(samples.labels)))
    assert judge_of(samples).fingerprint() != judge_of(one_group_each).fingerprint()  # drawn otherwise


def test_it_changes_with_whatever_changes_what_is_played(samples):
    images = samples.columns["image"]
    darker = {**samples.columns, "image": Column(Per.SAMPLE, images.values // 2)}
    others = [
        judge_of(samples, episodes=21),
        judge_of(samples, seed=1),
        judge_of(samples, ways=[4]),
        judge_of(samples, queries=1),
        judge_of(samples, mappings=["image:image"]),
        judge_of(replace(samples, groups=np.arange(len(samples.labels)) // 2)),
        judge_of(replace(samples, duplicates=np.arange(len(samples.labels)) // 2)),
        judge_of(replace(samples, superclasses=np.array([0, 0, 0, 1, 1, 1]))),
        judge_of(replace(samples, query_only=np.arange(len(samples.labels)) % 2 == 0)),
        judge_of(replace(samples, columns=darker)),
        judge_of(replace(samples, targets=np.zeros(len(samples.labels), np.float32))),
        replace(judge_of(samples), corrupt=build_corruptions(NOISE, "episode.eval.corrupt")),
    ]
    assert len({judge.fingerprint() for judge in [judge_of(samples), *others]}) == 1 + len(others)


@pytest.mark.parametrize(
    ("option", "kept"),
    [
        ("episode.eval.queries=4", False),
        ("evaluation.seed=7", False),
        ("evaluation.validation_episodes=19", False),
        ("trainer.monitor=val/image:image/5-way 1-shot", False),
        ("evaluation.episodes=21", True),
        ("episode.train.ways=30", True),
    ],
)
def test_a_resumed_run_begins_its_best_anew_just_where_it_should(smoke_run, tmp_path, option, kept):
    """The best of the first run is made better than any can be, so that it stays wherever it is kept."""
    copy = shutil.copytree(smoke_run, tmp_path / "run")
    done = command("train", f"resume={copy}", option, "trainer.steps=5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    best = json.loads((copy / "result.json").read_text())["best"]
    assert (best["step"] <= 4) == kept, best


@pytest.fixture(scope="module")
def smoke_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smoke")
    options = ["evaluation.rivals=false", "evaluation.baselines=[]", "evaluation.retrieval=false", "hydra.run.dir=run"]
    done = command("train", *SMOKE, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in ("last.ckpt", "best.ckpt"):
        path = folder / "run" / "checkpoints" / name
        content = torch.load(path, weights_only=True)
        content["best"]["value"] = 2.0
        torch.save(content, path)
    return folder / "run"
