"""A dataset, an encoder and a distance, each by one file and one YAML, from outside and from inside."""

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
RUN = [
    "dataset=dots",
    "encoder/image=flat",
    "method/distance=manhattan",
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
    assert {c["predictor"] for c in result["panel"]} == {"metric/prototype", "raw/nearest", "chance"}
    assert "name: manhattan" in (run / "config.yaml").read_text()


@pytest.fixture
def outside(tmp_path):
    """A package installed elsewhere, that names its module in the entry-point group, and a folder of YAML."""
    site, conf = tmp_path / "site", tmp_path / "conf"
    write(site / "our_parts.py", "\n".join(textwrap.dedent(t) for t in (DATASET, ENCODER, DISTANCE)))
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
