"""Fixtures that many tests share."""

import atexit
import os
import subprocess
import sys
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch

from mmml import cli
from mmml.data.base import Dataset, Samples
from mmml.data.column import Column
from mmml.encoders import build_embedder
from mmml.episodes import ExampleSet
from mmml.methods.metric import MetricLearner
from mmml.tasks import tasks

SMALL = {
    "width": 16,
    "normalize": True,
    "fusion": "mean",
    "image": {"name": "conv4", "size": 16, "channels": 8, "augment": 0.5},
    "text": {
        "name": "byte_transformer",
        "channels": 16,
        "layers": 1,
        "heads": 2,
        "max_length": 16,
        "dropout": 0.1,
    },
}
MLP = {
    "width": 16,
    "normalize": True,
    "fusion": "mean",
    "image": {"name": "mlp_image", "size": 16, "hidden": 32},
    "text": {"name": "mlp_text", "max_length": 16, "channels": 4, "hidden": 32},
}
SMOKE = [
    "experiment=smoke",
    "trainer.steps=4",
    "trainer.validate_every=2",
    "trainer.checkpoint_every=1",
]


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """One cache for the whole session and all its processes, apart from the user's."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
        os.environ["OMP_NUM_THREADS"] = "1"  # as many processes as cores
        torch.set_num_threads(1)
    os.environ["MMML_CACHE"] = str(base / "shared-cache")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; a test that wants it is skipped only where
    ``MMML_DATA`` is unset.
    """
    if "MMML_DATA" not in os.environ:
        pytest.skip("MMML_DATA is not set: no real data")
    folder = Path(os.environ["MMML_DATA"])
    assert folder.is_dir(), f"MMML_DATA={folder} is no folder"
    return folder


@pytest.fixture(scope="session")
def glyphs() -> dict[str, Samples]:
    from mmml.data.base import datasets

    dataset: Dataset = datasets.build(
        "glyphs", {"split_seed": 0, "val": 0.15, "test": 0.15}, "dataset"
    )
    return dataset.load()


@pytest.fixture
def samples() -> Samples:
    """Six classes of 4 to 9 small images; class c has c % 2 + 1 names."""
    counts = np.array([4, 5, 6, 7, 8, 9])
    names = [[f"name {c}.{i}" for i in range(c % 2 + 1)] for c in range(6)]
    images = torch.randint(
        0, 256, (int(counts.sum()), 16, 16), generator=torch.Generator().manual_seed(0)
    )
    texts = np.array([n for several in names for n in several], dtype=object)
    return Samples(
        classes=[f"class {c}" for c in range(6)],
        starts=np.cumsum([0, *counts]),
        columns={
            "image": Column(images.to(torch.uint8)),
            "text": Column(texts, starts=np.cumsum([0, *map(len, names)])),
        },
    )


def make_learner(
    encoder: dict = SMALL,
    loss: str = "infonce",
    classifier: str = "prototype",
    distance: str = "cosine",
):
    torch.manual_seed(0)
    task = tasks.build("classification", {}, "task")
    return metric_learner(
        build_embedder(encoder, ["image", "text"]), task, distance, loss, classifier
    )


LOSSES = {
    "infonce": {"temperature": 0.1, "learn_temperature": True},
    "prototypical": {"temperature": 0.1, "learn_temperature": True},
    "contrastive": {"margin": 1.0, "squared": False},
    "triplet": {"margin": 1.0, "hard_mining": False},
}


def with_scores(samples: Samples, scores) -> Samples:
    """The same samples with these scores, ``[rows]``."""
    return replace(
        samples, columns={**samples.columns, "score": Column.of_scores(np.asarray(scores))}
    )


def scores_of(samples: Samples) -> np.ndarray:
    """The score of each row, ``[rows]``."""
    return samples.columns["score"].values.numpy()


def scored_examples(columns, shapes, scores) -> ExampleSet:
    """Examples with the scores ``[B, items]`` as their answers."""
    batch, ways, n = next(iter(shapes.values()))
    answers = Column(
        torch.as_tensor(scores, dtype=torch.float32).view(batch, ways, n), encoded=True
    )
    return ExampleSet(
        columns, shapes, answers=ExampleSet({"score": answers}, {"score": (batch, ways, n)})
    )


def metric_learner(
    embedder, task, distance="cosine", loss="infonce", classifier=None, **options
) -> MetricLearner:
    """A learner of parts by their names; options are those of the loss."""
    chosen = None if classifier is None else {"name": classifier}
    return MetricLearner(
        embedder, task, {"name": distance}, {"name": loss} | LOSSES[loss] | options, chosen
    )


@pytest.fixture
def learner() -> MetricLearner:
    return make_learner()


def command(
    program: str, *arguments: str, cwd: Path, timeout: float = 300, **env: str
) -> subprocess.CompletedProcess:
    """Run a console script as a user would: a process of its own, forked from one that has
    heavy imports behind it.
    """
    with TemporaryDirectory() as folder:
        files = [Path(folder, name) for name in ("stdout", "stderr")]
        job = (
            [f"mmml-{program}", *arguments],
            PROGRAMS[program],
            cwd,
            {**os.environ, **env},
            files,
        )
        process = PROCESSES.Process(target=play, args=job)
        process.start()
        process.join(timeout)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(job[0], timeout)
        return subprocess.CompletedProcess(
            job[0], process.exitcode, *(file.read_text() for file in files)
        )


def play(argv: list[str], program: str, cwd: Path, env: dict[str, str], files: list[Path]) -> None:
    """What a process that runs a console script does."""
    for number, file in enumerate(files, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = argv
    try:
        getattr(cli, program)()
    finally:
        atexit._run_exitfuncs()  # forked processes leave them out


PROCESSES = get_context("forkserver")
SLOW = [
    "torch._dynamo",
    "matplotlib.figure",
    "sklearn.manifold",
    "transformers.models.gpt2.modeling_gpt2",
]  # to import
PROCESSES.set_forkserver_preload(["pytest", "mmml.job", *SLOW])
PROGRAMS = {
    "train": "train",
    "eval": "evaluate",
    "report": "report",
    "predict": "predict",
    "data": "data",
}


def only_run(cwd: Path) -> Path:
    """The one run directory below ``outputs/``."""
    (found,) = (p.parent for p in cwd.glob("outputs/*/*/result.json"))
    return found


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, cache: None) -> Path:
    """A finished smoke run, not to be changed by tests."""
    cwd = tmp_path_factory.mktemp("finished")
    done = command("train", *SMOKE, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return only_run(cwd)
