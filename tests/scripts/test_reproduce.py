import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import reproduce
from reproductions import REPRODUCTIONS, Goal, Reproduction

from mmml.config import check_config
from mmml.config.compose import compose_plain

CELL = {"task": "classification", "metric": "accuracy", "ways": 20, "shots": 1, "step": None}
IMAGE, BOTH = ["image"], ["image", "strokes"]


def wrote(folder, scores, mapping=IMAGE, predictor="metric/prototype", baseline=False):
    """A finished evaluation with one cell more."""
    path, episodes = folder / "result.json", folder / "eval" / "test" / "episodes.parquet"
    episodes.parent.mkdir(parents=True, exist_ok=True)
    told = json.loads(path.read_text()) if path.exists() else {"status": "completed", "seconds": 10, "results": []}
    cell = CELL | {"predictor": predictor, "baseline": baseline, "support": mapping, "query": mapping}
    told["results"].append(cell | {"mean": float(np.mean(scores))})
    path.write_text(json.dumps(told))
    (folder / "run.json").write_text(json.dumps({"git": "0123456789"}))
    name = f"{'+'.join(mapping)}:{'+'.join(mapping)}"
    keys = ("predictor", "ways", "shots", "metric")
    about = {k: [v] * len(scores) for k, v in {**{k: cell[k] for k in keys}, "mapping": name}.items()}
    subset = pa.nulls(len(scores), pa.string())
    table = pa.table({**about, "subset": subset, "episode": range(len(scores)), "score": scores})
    pq.write_table(pa.concat_tables([*([pq.read_table(episodes)] if episodes.exists() else []), table]), episodes)


@pytest.mark.parametrize("name", REPRODUCTIONS)
def test_what_is_reproduced_are_runs_that_exist(name):
    wanted = REPRODUCTIONS[name]
    for more in list(wanted.runs.values())[:2]:
        config = check_config(compose_plain([*wanted.train, *more]))
        mappings = {*config.episode.eval.mappings, *config.evaluation.matching}
        for goal in wanted.goals:
            assert " → " in goal.mapping or {goal.mapping, goal.less or goal.mapping} <= mappings


def test_every_speaker_is_left_out_with_every_digit():
    runs = REPRODUCTIONS["fsdd"].runs
    assert len(runs) == 30 and len({r.split("/")[0] for r in runs}) == 6
    assert sorted("".join(r.split("/")[1] for r in runs if r.startswith("theo/"))) == [*"0123456789"]


def test_errors_are_judged_by_their_mean_over_runs(tmp_path, capsys):
    goal = Goal("image:image", "20-way 1-shot", 13.0, error=True)
    for i, scores in enumerate(([0.9, 0.9], [0.8, 0.9])):
        wrote(tmp_path / f"seed{i}", scores)
    (tmp_path / "seed0" / "result.1.json").write_text(json.dumps({"seconds": 6}))  # it was resumed
    found = {f"seed{i}": {"test": tmp_path / f"seed{i}"} for i in range(2)}
    assert reproduce.report("x", Reproduction([], [goal]), found) == 0
    printed = capsys.readouterr().out
    assert "2 runs, 13 s" in printed and "commit 0123456, " in printed
    assert "| error %, image:image, 20-way 1-shot | 12.50 | ± 31.77 | 3.54 | 10.0, 15.0 | at most 13.0 |  |" in printed
    wrote(tmp_path / "seed2", [0.1, 0.1])
    found["seed2"] = {"test": tmp_path / "seed2"}
    assert reproduce.report("x", Reproduction([], [goal]), found) == 1
    assert "| missed |" in capsys.readouterr().out


def test_runs_of_one_speaker_count_as_one(tmp_path):
    goal = Goal("image:image", "20-way 1-shot", "raw/nearest", error=True)
    found = {}
    for run, learned, raw in (("theo/01", 0.9, 0.8), ("theo/23", 0.7, 0.8), ("lucas/01", 0.5, 0.6)):
        wrote(tmp_path / run, [learned])
        wrote(tmp_path / run, [raw], predictor="raw/nearest", baseline=True)
        found[run] = {"test": tmp_path / run}
    assert reproduce.by_unit(goal, found) == pytest.approx({"theo": 20, "lucas": 50})
    assert not reproduce.row(goal, found)  # 35 % are more than 30
    assert reproduce.row(goal, {"theo/01": found["theo/01"]})


def test_mappings_are_compared_in_the_same_episodes(tmp_path):
    wrote(tmp_path, [0.5, 0.7, 0.9])
    wrote(tmp_path, [0.6, 0.9, 0.9], BOTH)
    goal = Goal("image+strokes:image+strokes", "20-way 1-shot", less="image:image")
    assert reproduce.score({"test": tmp_path}, goal) == pytest.approx(10)
    with pytest.raises(LookupError, match="there is no"):
        reproduce.score({"test": tmp_path}, Goal("text:image", "20-way 1-shot"))


def test_a_figure_that_must_come_out_exactly():
    goal = Goal("image:image", "20-way 1-shot", 38.75, error=True, exactly=True)
    assert goal.met(38.8, 38.75) and not goal.met(38.5, 38.75) and not goal.met(39.0, 38.75)


def test_what_was_interrupted_goes_on_or_is_done_anew(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(reproduce.subprocess, "run", lambda command, check: ran.append(command[1:]))
    run, wanted = tmp_path / "seed0", Reproduction(["experiment=x"], [], {"views": ["evaluation.tta_views=8"]})
    (run / "eval" / "views").mkdir(parents=True)  # before its first checkpoint, and in an evaluation
    (run / "run.json").touch()
    reproduce.play(run, wanted, ["seed=0"])
    assert ran.pop(0) == ["experiment=x", "seed=0", f"hydra.run.dir={run}"]
    assert ran.pop(0) == [f"checkpoint={run}", "name=views", "evaluation.tta_views=8"] and not run.exists()
    (run / "checkpoints").mkdir(parents=True)
    (run / "checkpoints" / "last.ckpt").touch()
    (run / "eval" / "views").mkdir(parents=True)
    reproduce.play(run, wanted, ["seed=0"])
    assert ran.pop(0) == [f"resume={run}"] and run.exists() and not (run / "eval" / "views").exists()
    (run / "result.json").write_text('{"status": "completed"}')
    reproduce.play(run, wanted, ["seed=0"])
    assert [command[0] for command in ran] == [f"checkpoint={run}"] * 2
