"""Each kind of part by one file and one YAML, from outside and from inside."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.conftest import SMOKE, command, only_run

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
    "method/classifier/inverse.yaml": """
        # Weights that fall with the inverse of the distance. mmml-train method/classifier=inverse
        name: inverse
        """,
    "method/update_rule/sign.yaml": """
        # Steps of one length. mmml-train method=learned_optimizer method/update_rule=sign
        name: sign
        inner_lr: 0.01
        """,
    "task/relative.yaml": """
        # Scores, judged by the relative error. mmml-train task=relative
        name: relative
        """,
    "evaluation/evaluators/confidence.yaml": """
        # @package evaluation.confidence
        # How sure predictions are. mmml-train 'evaluation/evaluators=[few_shot,confidence]'
        name: confidence
        episodes: 200
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
        scored = True

        def __init__(self, classes: int):
            self.classes = classes

        def load(self, modalities):
            return {split: self.split(i) for i, split in enumerate(("train", "val", "test"))}

        def split(self, number):
            rng = np.random.default_rng(number)
            images = rng.integers(0, 60, (self.classes, 8, 64))
            images[np.arange(self.classes), :, rng.permutation(64)[: self.classes]] = 255
            column = Column(torch.from_numpy(images.reshape(-1, 8, 8).astype("uint8")))
            scores = Column.of_scores(1 + images.mean(-1).ravel())
            names = [f"{number}/{c}" for c in range(self.classes)]
            return Samples(
                names, np.arange(self.classes + 1) * 8, {"image": column, "score": scores}
            )
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
SHORT = ["dataset=dots", "encoder/image=flat", "trainer.steps=4", "evaluation.episodes=8"]
SHORT += ["evaluation.validation_episodes=4"]
RUN = [
    *SHORT,
    "method/distance=manhattan",
    "method/classifier=inverse",
    "evaluation/evaluators=[few_shot,confidence]",
    "evaluation.confidence.episodes=5",
    "episode.train={ways: 6, shots: 1, queries: 2, mappings: ['image:image']}",
    "episode.eval={ways: 4, shots: 1, queries: 2, mappings: ['image:image']}",
]
SCORES = [
    *SHORT,
    "task=relative",
    "episode=regression",
    "episode.train={shots: 3, queries: 2}",
    "episode.eval={shots: 3, queries: 2, mappings: ['image:image']}",
]
DESCRIBED = dict(
    re.findall(
        r"`mmml/([\w/]+\.py)`\n\n```python\n(.*?)```",
        (ROOT / "CONTRIBUTING.md").read_text(),
        re.DOTALL,
    )
)
MODULES = {"data/datasets/dots.py": DATASET, "encoders/flat.py": ENCODER, **DESCRIBED}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text).lstrip())


def assert_ran(cwd: Path) -> None:
    run = only_run(cwd)
    result = json.loads((run / "result.json").read_text())
    assert result["status"] == "completed"
    assert {r["predictor"] for r in result["results"]} == {
        "metric/inverse",
        "raw/nearest",
        "chance",
    }
    sure = [r for r in result["results"] if r["evaluator"] == "confidence"]
    assert {r["predictor"] for r in sure} == {"metric/inverse", "raw/nearest"} and {
        r["n"] for r in sure
    } == {5}
    assert "confidence % ± 95 % interval, 5 episodes each" in (run / "report.html").read_text()
    assert "name: manhattan" in (run / "config.yaml").read_text()


def test_contributing_describes_each_kind():
    assert {Path(name).stem for name in DESCRIBED} == {
        "manhattan",
        "confidence",
        "relative",
        "inverse",
        "sign",
    }


@pytest.fixture
def site(tmp_path):
    """The folder of an installed package that names its module in the entry-point group."""
    site = tmp_path / "site"
    write(site / "ours" / "__init__.py", "")
    write(site / "ours" / "parts.py", "\n".join(map(textwrap.dedent, MODULES.values())))
    write(
        site / "ours-1.0.dist-info" / "METADATA",
        "Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n",
    )
    write(site / "ours-1.0.dist-info" / "entry_points.txt", "[mmml.parts]\nours = ours.parts\n")
    for name, text in PARTS.items():
        write(site / "ours" / "conf" / name, text)
    return str(site)


def test_from_outside(site, tmp_path):
    done = command("train", *RUN, cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    assert_ran(tmp_path)
    run = only_run(tmp_path)
    missing = command("eval", f"checkpoint={run}", "name=y", cwd=tmp_path)
    assert missing.returncode == 2 and "there is no dataset of that name" in missing.stderr


def test_finished_runs_take_choices_from_outside(site, tmp_path):
    own = [o for o in RUN if "classifier" not in o and "confidence" not in o]
    done = command("train", *own, "trainer.steps=1", cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    chosen = ["method/classifier=inverse", "evaluation/evaluators=[few_shot,confidence]"]
    options = ["evaluation.confidence.episodes=5", "name=x"]
    done = command("eval", f"checkpoint={run}", *chosen, *options, cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    rows = json.loads((run / "eval" / "x" / "result.json").read_text())["results"]
    assert {r["predictor"] for r in rows if r["evaluator"] == "confidence"} >= {"metric/inverse"}


def test_a_folder_of_configs_alone(site, tmp_path):
    """As it is named on the command line; its choices are in the help, too."""
    conf = tmp_path / "conf"
    write(conf / "dataset" / "few_dots.yaml", "# Few dots.\nname: dots\nclasses: 6\n")
    own = ["dataset=few_dots", *RUN[1:]]
    named = f"--config-dir={conf}"
    done = command("train", named, *own, "dataset.clases=3", cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 2 and "dataset.clases is no option" in done.stderr
    done = command("train", named, "--help", cwd=tmp_path, PYTHONPATH=site)
    assert "few_dots" in done.stdout and "inverse" in done.stdout


def test_a_mistyped_option_of_an_outside_part_is_found(site, tmp_path):
    done = command("train", *RUN, "+dataset.clases=3", cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 2 and "did you mean 'classes'" in done.stderr


def test_a_package_that_cannot_be_imported_is_named(site, tmp_path):
    (Path(site) / "ours" / "parts.py").write_text("import nothing_of_that_name")
    done = command("train", *SMOKE, cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "the package ours names ours.parts" in done.stderr
    assert "nothing_of_that_name" in done.stderr


def test_an_evaluator_refuses_a_task_before_training(site, tmp_path):
    options = [*SCORES, "evaluation/evaluators=[few_shot,confidence]"]
    done = command("train", *options, cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 2
    assert "evaluation.confidence needs a task with classes" in done.stderr


@pytest.mark.parametrize("method", ["metric", "learned_optimizer"])
def test_a_task_from_outside_is_learned_by_each_method(site, method, tmp_path):
    """Also one with an update rule from outside."""
    rule = ["method/update_rule=sign"] if method == "learned_optimizer" else []
    done = command("train", f"method={method}", *SCORES, *rule, cwd=tmp_path, PYTHONPATH=site)
    assert done.returncode == 0, done.stderr
    result = json.loads((only_run(tmp_path) / "result.json").read_text())
    rows = [
        r
        for r in result["results"]
        if r["predictor"].startswith(method) and r["metric"] == "relative error"
    ]
    assert {(r["task"], r["target"]) for r in rows} == {("relative", "score")} and all(
        r["n"] == 8 for r in rows
    )
    assert method == "metric" or any(r["predictor"] == "learned_optimizer/sign" for r in rows)


def test_from_inside(tmp_path):
    copy = tmp_path / "clone"
    for folder in ("mmml", "conf"):
        shutil.copytree(ROOT / folder, copy / folder)
    for name, text in MODULES.items():
        write(copy / "mmml" / name, text)
    for name, text in PARTS.items():
        write(copy / "conf" / name, text)
    code = "import sys; sys.argv[0] = 'mmml-train'; from mmml.cli import train; train()"
    for options, inspected in (
        (RUN, assert_ran),
        ([*SCORES, "hydra.run.dir=scores"], lambda _: None),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code, *options],
            cwd=copy,
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(copy)},
        )
        assert done.returncode == 0, done.stderr
        inspected(copy)
