"""Each kind of part by one file and one YAML, from outside and from inside."""

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
DISTANCE = """
    from mmml.similarity import distances


    @distances.register("manhattan")
    def manhattan(query, support):
        return (query.unsqueeze(-2) - support.unsqueeze(-3)).abs().sum(-1)
    """
CLASSIFIER = """
    from mmml.methods.metric.classifiers import classifiers


    @classifiers.register("inverse")
    def inverse(distance, support, labels, query, temperature):
        return (-distance(query, support).clamp_min(1e-6).log()).log_softmax(-1)
    """
RULE = """
    from mmml.methods.learned_optimizer.update_rules import UpdateRule, update_rules


    @update_rules.register("sign")
    class Sign(UpdateRule):
        def __init__(self, inner_lr: float):
            super().__init__()
            self.inner_lr = inner_lr

        def update(self, grads, state, params, losses):
            return {name: -self.inner_lr * g.sign() for name, g in grads.items()}, state
    """
TASK = """
    from mmml.tasks import Metric, tasks
    from mmml.tasks.targets import ScoreTarget

    RELATIVE_ERROR = Metric("relative error", higher_is_better=False)


    @tasks.register("relative")
    class Relative(ScoreTarget):
        name = "relative"
        metrics = (RELATIVE_ERROR,)
        loss_metric = Metric("squared relative error", percent=False, higher_is_better=False)

        def aggregate(self, log_weights, support_targets):
            return (log_weights.exp() * support_targets.unsqueeze(-2)).sum(-1)

        def output_size(self, support_targets):
            return 1

        def decode(self, outputs):
            return outputs.squeeze(-1)

        def loss(self, predictions, targets):
            return (predictions / targets - 1).square().mean(-1)

        def scores(self, predictions, targets):
            return {RELATIVE_ERROR: (predictions / targets - 1).abs()}

        def chance(self, shape):
            return {}
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
                for played in predict(
                    player.learner, player.samples, context.sampler(), setting, self.episodes
                ):
                    scores = CONFIDENCE.of_episodes(played.predictions.exp().amax(-1)).numpy()
                    about = played.drawn.classes, "test", played.mapping, CONFIDENCE, player.learner
                    results.add(setting.mean_of(scores, *about))
            return results
    """
SHORT = ["dataset=dots", "encoder/image=flat", "trainer.steps=4", "evaluation.episodes=8"]
SHORT += ["evaluation.validation_episodes=4"]
RUN = [
    *SHORT,
    "method/distance=manhattan",
    "method/classifier=inverse",
    "evaluation/evaluators=[few_shot,confidence]",
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
MODULES = {
    "data/datasets/dots.py": DATASET,
    "encoders/flat.py": ENCODER,
    "similarity/manhattan.py": DISTANCE,
    "methods/metric/classifiers/inverse.py": CLASSIFIER,
    "methods/learned_optimizer/update_rules/sign.py": RULE,
    "tasks/relative.py": TASK,
    "evaluation/evaluators/confidence.py": EVALUATOR,
}


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


@pytest.fixture
def outside(tmp_path):
    """A package installed elsewhere, that names its module in the entry-point group,
    and a folder of YAML.
    """
    site, conf = tmp_path / "site", tmp_path / "conf"
    write(site / "our_parts.py", "\n".join(map(textwrap.dedent, MODULES.values())))
    write(
        site / "ours-1.0.dist-info" / "METADATA",
        "Metadata-Version: 2.1\nName: ours\nVersion: 1.0\n",
    )
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
    evaluated = command(
        "eval", f"checkpoint={run}", "name=x", "episode.eval.ways=3", cwd=tmp_path, PYTHONPATH=site
    )
    assert evaluated.returncode == 0, evaluated.stderr
    missing = command("eval", f"checkpoint={run}", "name=y", cwd=tmp_path)
    assert missing.returncode == 2 and "there is no dataset of that name" in missing.stderr


def test_a_mistyped_option_of_an_outside_part_is_found(outside, tmp_path):
    site, conf = outside
    done = command(
        "train", "--config-dir", conf, *RUN, "+dataset.clases=3", cwd=tmp_path, PYTHONPATH=site
    )
    assert done.returncode == 2 and "did you mean 'classes'" in done.stderr


@pytest.mark.parametrize("method", ["metric", "learned_optimizer"])
def test_a_task_from_outside_is_learned_by_each_method(outside, method, tmp_path):
    """Also one with an update rule from outside."""
    site, conf = outside
    rule = ["method/update_rule=sign"] if method == "learned_optimizer" else []
    done = command(
        "train",
        "--config-dir",
        conf,
        f"method={method}",
        *SCORES,
        *rule,
        cwd=tmp_path,
        PYTHONPATH=site,
    )
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
