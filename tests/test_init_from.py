"""Runs that begin with the encoders of another: ``init_from=RUN``."""

import json

import pytest
import torch

from mmml import run as runs
from mmml.config.compose import compose_plain
from mmml.config.schema import check_run
from mmml.errors import UserError
from mmml.evaluation.embed import embed_all
from mmml.run_directory import RunDirectory
from mmml.training.checkpoint import load_checkpoint
from tests.conftest import SMOKE, command

HEAD = [
    "experiment=adapt_head",
    "encoder=mlp",
    "encoder.frozen=true",
    "trainer.steps=4",
    "trainer.checkpoint_every=2",
]
HEAD += [
    "episode.train.queries=2",
    "episode.train.shots=1",
    "evaluation.episodes=6",
    "hydra.run.dir=run",
]
HEAD += [
    "evaluation.validation_episodes=4",
    "evaluation.lr_search_episodes=2",
    "trainer.meta_batch_size=2",
]
WIDTH = "encoder.width=16"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    cwd = tmp_path_factory.mktemp("source")
    short = [
        "encoder=mlp",
        WIDTH,
        "hydra.run.dir=source",
        "episode.train.mappings=[image:image,text:image]",
    ]
    done = command("train", *SMOKE, *short, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd / "source"


def encoders_of(run):
    state = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["learner"]
    return {
        n.split("embedder.", 1)[1].replace(".norm.", "."): v
        for n, v in state.items()
        if "embedder." in n
    }


def prepared(folder, *options):
    """All that training needs, before its first step."""
    plain = compose_plain([*HEAD, *options])
    return runs.prepare(check_run(plain), plain, RunDirectory(folder))


def test_frozen_encoders_stay_and_a_resumed_run_goes_on_with_the_same_embeddings(source, tmp_path):
    """Of the images alone: the dataset has columns that no mapping names."""
    images = [
        "episode.train.mappings=[image:image]",
        "episode.eval.mappings=[image:image]",
        "evaluation.controls=false",
    ]
    done = command("train", *HEAD, WIDTH, *images, f"init_from={source}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    before, after = encoders_of(source), encoders_of(tmp_path / "run")
    assert after and all(torch.equal(before[n], after[n]) for n in after)
    found = json.loads((tmp_path / "run" / "result.json").read_text())
    assert {c["predictor"] for c in found["results"]} >= {
        "learned_optimizer/lstm",
        "frozen/prototype",
    }

    stored = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt", "resume")
    experiment, trainer = runs.prepare(
        check_run(stored.config), stored.config, RunDirectory(tmp_path / "run"), stored
    )
    known = (
        embed_all(experiment.learner, experiment.samples["train"], ["image"])
        .columns["image"]
        .values
    )
    learned_from = trainer.parts.batches(0).support.values["image"].flatten(0, 2)
    assert (
        torch.cdist(learned_from, known, compute_mode="donot_use_mm_for_euclid_dist").amin(1).max()
        < 1e-5
    )


def test_encoders_can_also_go_on_learning(source, tmp_path):
    options = ["method/algorithm=maml", "method.adapt=all", "encoder.frozen=false"]
    experiment, _ = prepared(tmp_path, WIDTH, f"init_from={source}", *options)
    before, embedder = encoders_of(source), experiment.learner.embedder
    after = {n.replace(".norm.", "."): p for n, p in embedder.named_parameters()}
    assert after and all(torch.equal(before[n], p) and p.requires_grad for n, p in after.items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([WIDTH], "encoder.frozen=true needs init_from=RUN"),
        ([WIDTH, "init_from=/nowhere"], "init_from=/nowhere: there is no such file"),
        (
            ["encoder.width=8", "init_from=SOURCE"],
            "its encoders are others: set encoder.width=16, as it has",
        ),
        (
            [WIDTH, "encoder.normalize=false", "init_from=SOURCE"],
            "set encoder.normalize=True, as it has",
        ),
        (
            [WIDTH, "init_from=SOURCE", "dataset.split_seed=7"],
            "the run of init_from= was trained or selected on",
        ),
        ([WIDTH, "init_from=SOURCE", "method.adapt=all"], "method.adapt=all adapts encoders"),
    ],
)
def test_mistakes_are_told_in_a_sentence(source, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        prepared(tmp_path, *(o.replace("SOURCE", str(source)) for o in options))


def test_problems_have_no_encoders(source, tmp_path):
    """Its run directory is the experiment's own, too."""
    done = command("train", "experiment=quadratic", f"init_from={source}", cwd=tmp_path)
    assert done.returncode == 2 and "a run on problems has none" in done.stderr
