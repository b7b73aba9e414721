"""The card of the project: groups are composed into one run; sweeps; evaluation of checkpoints."""

import csv
import json

import pytest
import torch

from tests.conftest import command

GROUPS = ["dataset=glyphs", "encoder=mlp", "episode=five_way"]
SHORT = ["encoder.width=16", "trainer.steps=2", "trainer.warmup=0", "trainer.validate_every=2"]
SHORT += ["evaluation.episodes=4", "evaluation.validation_episodes=2", "evaluation.baselines=[]"]
SHORT += [
    "evaluation.lr_search_episodes=0",
    "evaluation/evaluators=[few_shot]",
    "episode.eval.mappings=[image:image]",
]


def assert_is_a_run(folder, method):
    assert json.loads((folder / "result.json").read_text())["status"] == "completed"
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["step"] == 2 and checkpoint["config"]["method"]["name"] == method
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps if line["split"] == "train"] == [1, 2]
    assert (folder / "checkpoints" / "best.ckpt").is_file()


@pytest.mark.parametrize("method", ["metric", "learned_optimizer"])
def test_a_run_is_composed_of_groups_and_its_checkpoint_is_judged(method, tmp_path):
    done = command("train", f"method={method}", *GROUPS, *SHORT, "hydra.run.dir=run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_is_a_run(tmp_path / "run", method)
    done = command("eval", "checkpoint=run", "name=again", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    files = [tmp_path / "run" / f for f in ("result.json", "eval/again/result.json")]
    trained, again = (json.loads(file.read_text())["results"] for file in files)
    assert trained == again and trained


def test_a_sweep_is_a_run_for_each_combination(tmp_path):
    swept = ["-m", "seed=0,1", "method/loss=infonce,contrastive"]
    done = command("train", *swept, *GROUPS, *SHORT, "hydra.sweep.dir=sweep", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = set()
    for number in range(4):
        assert_is_a_run(tmp_path / "sweep" / str(number), "metric")
        result = json.loads((tmp_path / "sweep" / str(number) / "result.json").read_text())
        found.add(tuple(result["overrides"][:2]))
    assert found == {
        (f"seed={s}", f"method/loss={loss}") for s in (0, 1) for loss in ("infonce", "contrastive")
    }
    rows = list(csv.DictReader((tmp_path / "sweep" / "summary.csv").read_text().splitlines()))
    assert len(rows) == 4 and {row["status"] for row in rows} == {"completed"}


def test_methods_are_swept_in_one_experiment(tmp_path):
    """Each picks what it needs there: the optimizer's preset, for one, has another trainer."""
    swept = ["-m", "method=metric,learned_optimizer", "experiment=sinusoid", "dataset.waves=20"]
    options = [o for o in SHORT if "mappings" not in o and "width" not in o]
    done = command(
        "train",
        *swept,
        *options,
        "trainer.meta_batch_size=1",
        "hydra.sweep.dir=sweep",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    for number, method in enumerate(("metric", "learned_optimizer")):
        assert_is_a_run(tmp_path / "sweep" / str(number), method)
