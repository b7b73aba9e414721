"""A dataset, an encoder, a distance and an evaluator, each by one file and one YAML, from outside and from inside."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import command, only_run

ROOT = Path(__file__).parent.parent

PARTS = {
    "dataset/dots.yaml": """
        # Bright dots, to test extensions. mmml-train dataset=dots
        name: dots
        classes: 12
        """,
    "encoder/image/flat.yaml": """
        # A linear map of the pixels. mmml-train encoder/image=flat
        name: flat
        pixels: 64
        """,
    "method/distance/manhattan.yaml": """
        # The city-block distance. mmml-train method/distance=manhattan
        name: manhattan
        """,
    "evaluation/evaluators/confidence.yaml": """
        # @package evaluation.confidence
        # How sure predictions are. mmml-train 'evaluation/evaluators=[few_shot,confidence]'
        name: confidence
        episodes: 5
        """,
}
DATASET = """
    import numpy as np
    import torch
    from mmml.data.base import Dataset, Granularity, Samples, datasets
    from mmml.data.column import Column


    @datasets.register("dots")
    class Dots(Dataset):
        name = "dots"
        modalities = {"image": Granularity.SAMPLE}

        def __init__(self, classes: int):
            self.classes = classes

        def load(self, modalities):
            return {split: self.split(i) for i, split in enumerate(("train", "val", "test"))}

        def split(self, number):
            rng = np.random.default_rng(number)
            images = rng.integers(0, 60, (self.classes, 8, 64))
            images[np.arange(self.classes), :, rng.permutation(64)[: self.classes]] = 255
            column = Column(torch.from_numpy(images.reshape(-1, 8, 8).astype("uint8")))
            names = [f"{number}/{c}" for c in range(self.classes)]
            return Samples(names, np.arange(self.classes + 1) * 8, {"image": column})
    """
ENCODER = """
    from torch import nn
    from mmml.encoders import Encoder, encoders


    @encoders.register("flat")
    class Flat(Encoder):
        modality = "image"

        def __init__(self, width: int, pixels: int):
            super().__init__()
            self.layer = nn.Linear(pixels, width)

        def prepare(self, raw):
            return raw.flatten(1).float() / 255

        def forward(self, prepared):
            return self.layer(prepared)
    """
DISTANCE = """
    from mmml.similarity import distances


    @distances.register("manhattan")
    def manhattan(query, support):
        return (query.unsqueeze(-2) - support.unsqueeze(-3)).abs().sum(-1)
    """
EVALUATOR = """
    import torch
    from mmml.evaluation.context import EpisodeContext
    from mmml.evaluation.evaluator import Evaluator, evaluators
    from mmml.evaluation.predictions import predict
    from mmml.evaluation.results import Results
    from mmml.tasks import Metric

    CONFIDENCE = Metric("confidence")


    @evaluators.register("confidence")
    class Confidence(Evaluator):
        name = "confidence"
        plays = EpisodeContext

        def __init__(self, episodes: int):
            self.episodes = episodes

        def run(self, player, context):
            results = Results()
            for setting in context.settings_of(self.name):
                for played in predict(player.learner, player.samples, context.sampler(), setting, self.episodes):
                    scores = CONFIDENCE.of_episodes(played.predictions.exp().amax(-1)).numpy()
                    about = played.drawn.classes, "test", played.mapping, CONFIDENCE, player.learner
                    results.add(setting.mean_of(scores, *about))
            return results
    """
RUN = [
    "dataset=dots",
    "encoder/image=flat",
    "method/distance=manhattan",
    "evaluation/evaluators=[few_shot,confidence]",
    "episode.train={ways: 6, shots: 1, queries: 2, mappings: ['image:image']}",
    "episode.eval={ways: 4, shots: 1, queries: 2, mappings: ['image:image']}",
    "trainer.steps=4",
    "evaluation.episodes=8",
    "evaluation.validation_episodes=4",
]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip())


def assert_ran(cwd: Path) -> None:
    run = only_run(cwd)
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "completed"
    assert {r["predictor"] for r in result["results"]} == {"metric/prototype", "raw/nearest", "chance"}
    sure = [r for r in result["results"] if r["evaluator"] == "confidence"]
    assert {r["predictor"] for r in sure} == {"metric/prototype", "raw/nearest"} and {r["n"] for r in sure} == {5}
    assert "confidence % ± 95 % interval, 5 episodes each" in (run / "report.html").read_text()
    assert "name: manhattan" in (run / "config.yaml").read_text()


@pytest.fixture
def outside(tmp_path):
    """A package installed elsewhere, that names its module in the entry-point group, and a folder of YAML."""
    site, conf = tmp_path / "site", tmp_path / "conf"
    write(site / "our_parts.py", "\n".join(textwrap.dedent(t) for t in (DATASET, ENCODER, DISTANCE, EVALUATOR)))
    write(site / "ours-1.0.dist-info" / "METADATA", "Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n")
    write(site / "ours-1.0.dist-info" / "entry_points.txt", "[mmml.parts]\nours = our_parts\n")
    for name, text in PARTS.items():
        write(conf / name, text)
    return str(site), str(conf)


def test_from_outside(outside, tmp_path):
    site, conf = outside
    done = command("train", "--config-dir", conf, *RUN, cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    assert_ran(tmp_path)
    run = only_run(tmp_path)
    evaluated = command("eval", f"checkpoint={run}", "name=x", "episode.eval.ways=3", cwd=tmp_path, PYTHONPATH=site)
    assert evaluated.returncode == 0, evaluated.stderr
    missing = command("eval", f"checkpoint={run}", "name=y", cwd=tmp_path)
    assert missing.returncode == 2 and "there is no dataset of that name" in missing.stderr


def test_a_mistyped_option_of_an_outside_part_is_found(outside, tmp_path):
    site, conf = outside
    done = command("train", "--config-dir", conf, *RUN, "+dataset.clases=3", cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 2 and "did you mean 'classes'" in done.stderr


def test_from_inside(tmp_path):
    copy = tmp_path / "clone"
    for folder in ("mmml", "conf"):
        shutil.copytree(ROOT / folder, copy / folder)
    write(copy / "mmml" / "data" / "datasets" / "dots.py", DATASET)
    write(copy / "mmml" / "encoders" / "flat.py", ENCODER)
    write(copy / "mmml" / "similarity" / "manhattan.py", DISTANCE)
    write(copy / "mmml" / "evaluation" / "evaluators" / "confidence.py", EVALUATOR)
    for name, text in PARTS.items():
        write(copy / "conf" / name, text)
    code = "import sys; sys.argv[0] = 'mmml-train'; from mmml.cli import train; train()"
    done = subprocess.run(
        [sys.executable, "-c", code, *RUN],
        cwd=copy,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(copy)},
    )
    assert done.returncode == 0, done.stderr
    assert_ran(copy)
