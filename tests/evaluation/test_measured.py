"""A best score is kept only where it measures what later ones do."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.config.compose import compose_plain
from mmml.config.schema import check_run
from mmml.data.column import Column
from mmml.episodes.corruptions import build_corruptions
from mmml.evaluation.measured import LOOKED_AT, measured
from tests.conftest import SMOKE, command, with_scores
from tests.evaluation.making import context_of, settings_of

NOISE = [{"name": "noise", "modality": "image", "amount": 0.1}]


def playing(samples, episodes=20, seed=0, **shape):
    return context_of(
        samples,
        settings_of(**shape),
        validation_episodes=episodes,
        seed=seed,
        baselines=["raw/nearest"],
    )


def test_it_is_the_same_for_the_same_episodes(samples):
    copied = replace(
        samples, columns=dict(samples.columns), superclasses=np.zeros(6, int), domains=None
    )
    assert playing(samples).fingerprint() == playing(copied).fingerprint()
    one_group_each = replace(samples, groups=np.arange(len(samples.labels)))
    # Drawn otherwise.
    assert playing(samples).fingerprint() != playing(one_group_each).fingerprint()


def test_it_changes_with_whatever_changes_what_is_played(samples):
    images = samples.columns["image"]
    darker = {**samples.columns, "image": Column(images.values // 2)}
    others = [
        playing(samples, episodes=21),
        playing(samples, seed=1),
        playing(samples, ways=[4]),
        playing(samples, queries=1),
        playing(samples, mappings=["image:image"]),
        playing(replace(samples, groups=np.arange(len(samples.labels)) // 2)),
        playing(replace(samples, duplicates=np.arange(len(samples.labels)) // 2)),
        playing(replace(samples, superclasses=np.array([0, 0, 0, 1, 1, 1]))),
        playing(replace(samples, query_only=np.arange(len(samples.labels)) % 2 == 0)),
        playing(replace(samples, columns=darker)),
        playing(with_scores(samples, np.zeros(len(samples.labels)))),
        replace(playing(samples), corruptions=build_corruptions(NOISE, "episode.eval.corruptions")),
    ]
    assert len({context.fingerprint() for context in [playing(samples), *others]}) == 1 + len(
        others
    )


def test_samples_in_the_middle_and_at_the_end_are_looked_at_too(samples):
    def changed(row):
        images = samples.columns["image"].values.clone()
        images[row] = 255 - images[row]
        return playing(replace(samples, columns={**samples.columns, "image": Column(images)}))

    assert (
        len({context.fingerprint() for context in (playing(samples), changed(0), changed(-1))}) == 3
    )


def test_every_score_is_looked_at(samples):
    rows = len(samples.labels)
    changed = [playing(with_scores(samples, np.eye(rows)[row])) for row in range(rows)]
    assert len({context.fingerprint() for context in changed}) == rows > 2 * LOOKED_AT


def test_how_much_is_corrupted_matters(samples):
    some, more = (
        replace(
            playing(samples),
            corruptions=build_corruptions(
                [NOISE[0] | {"amount": amount}], "episode.eval.corruptions"
            ),
        )
        for amount in (0.1, 0.2)
    )
    assert some.fingerprint() != more.fingerprint()


def test_scores_of_other_monitors_tasks_views_and_problems_are_not_compared():
    plain, problem = compose_plain(SMOKE), compose_plain(["experiment=quadratic"])
    run = check_run(plain)
    tasks = [plain["task"], {"name": "retrieval", "target": "text", "temperature": 0.1}]
    other = replace(run, trainer=replace(run.trainer, monitor="val/loss"))
    runs = [
        run,
        other,
        replace(run, task=tasks[1]),
        replace(run, evaluation=replace(run.evaluation, tta_views=2)),
    ]
    steps = check_run(problem | {"method": problem["method"] | {"inner_steps": 7}})
    dimensions = check_run(problem | {"problem": problem["problem"] | {"dimensions": 7}})
    found = [measured(r, "these") for r in (*runs, check_run(problem), steps, dimensions)]
    assert len({*found, measured(run, "those")}) == 8
    assert (
        measured(replace(run, seed=5, evaluation=replace(run.evaluation, episodes=7)), "these")
        == found[0]
    )


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
    """The best of the first run is made better than any can be, so that it stays
    wherever it is kept.
    """
    copy = shutil.copytree(smoke_run, tmp_path / "run")
    done = command("train", f"resume={copy}", option, "trainer.steps=5", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    best = json.loads((copy / "result.json").read_text())["best"]
    assert (best["step"] <= 4) == kept, best


@pytest.fixture(scope="module")
def smoke_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("smoke")
    options = [
        "evaluation.controls=false",
        "evaluation.baselines=[]",
        "evaluation/evaluators=[few_shot]",
        "hydra.run.dir=run",
    ]
    done = command("train", *SMOKE, *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in ("last.ckpt", "best.ckpt"):
        path = folder / "run" / "checkpoints" / name
        content = torch.load(path, weights_only=True)
        content["best"]["value"] = 2.0
        torch.save(content, path)
    return folder / "run"
