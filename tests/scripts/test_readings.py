import json
from dataclasses import fields

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from readings import Areas, Calibration, Ran, Score, Verdicts, areas_of
from results import Baseline

from mmml.errors import UserError
from mmml.evaluation.results import Result, ResultKey, Results
from mmml.job import write_scores
from mmml.methods import Role
from mmml.run_directory import SCHEMA

KEY = {
    "evaluator": "few_shot",
    "split": "test",
    "task": "classification",
    "predictor": "metric/prototype",
}
KEY |= {"support": ("image",), "query": ("image",), "metric": "accuracy", "ways": 20, "shots": 1}
IN_KEY = {field.name for field in fields(ResultKey)}
BOTH = {"support": ("image", "strokes"), "query": ("image", "strokes")}


def row(mean, ci95=0.01, n=9, **more):
    """A row of results; ``more`` are fields of its key, or others."""
    key = KEY | {k: more.pop(k) for k in list(more) if k in IN_KEY}
    return Result(
        ResultKey(**key), mean, ci95, n, **{"unit": "episodes", "role": Role.LEARNED} | more
    )


def wrote(folder, scores, **more):
    """A finished evaluation with one row more."""
    path, episodes = folder / "result.json", folder / "eval" / "test" / "episodes.parquet"
    episodes.parent.mkdir(parents=True, exist_ok=True)
    content = json.loads(path.read_text()) if path.exists() else {"schema": SCHEMA, "results": []}
    result = row(float(np.mean(scores)), n=len(scores), scores=np.array(scores), **more)
    path.write_text(json.dumps(content | {"results": [*content["results"], result.plain()]}))
    known = [pq.read_table(episodes)] if episodes.exists() else []
    write_scores(episodes, Results([result]))
    pq.write_table(pa.concat_tables([*known, pq.read_table(episodes)]), episodes)


def ran(folder, unit="0", group=""):
    return Ran(unit, group, {"test": folder})


def test_errors_are_means_over_seeds_with_the_gain_over_each_baseline(tmp_path):
    found = []
    for seed, learned, raw in ((0, 0.9, 0.7), (1, 0.8, 0.5)):
        wrote(tmp_path / str(seed), [learned, learned])
        wrote(tmp_path / str(seed), [raw, raw], predictor="raw/nearest", role=Role.UNTRAINED)
        found.append(ran(tmp_path / str(seed), str(seed)))
    (figure,) = Score("image:image", "20-way 1-shot", error=True)(found)
    assert (figure.what, figure.metric, figure.unit) == (
        "`image:image`, 20-way 1-shot",
        "error",
        "%",
    )
    assert not figure.higher_is_better and figure.episodes == 2
    assert (figure.value, figure.interval, figure.each) == (15.0, 64.0, {"0": 10.0, "1": 20.0})
    assert figure.baselines == [Baseline("`raw/nearest`", 40.0, 127.0, 25.0, 64.0)]


def test_a_baseline_that_no_seed_changes_has_the_interval_of_its_episodes(tmp_path):
    found = []
    for seed, learned in ((0, 0.9), (1, 0.8)):
        wrote(tmp_path / str(seed), [learned, learned])
        wrote(tmp_path / str(seed), [0.7, 0.7], predictor="raw/nearest", role=Role.UNTRAINED)
        found.append(ran(tmp_path / str(seed), str(seed)))
    (figure,) = Score("image:image", "20-way 1-shot")(found)
    assert figure.baselines == [Baseline("`raw/nearest`", 70.0, 1.0, 15, 64)]


def test_runs_of_one_speaker_count_as_one(tmp_path):
    found = []
    for run, learned in (("theo-01", 0.9), ("theo-23", 0.7), ("lucas-01", 0.5)):
        wrote(tmp_path / run, [learned])
        found.append(ran(tmp_path / run, run.split("-")[0]))
    (figure,) = Score("image:image", "20-way 1-shot", error=True)(found)
    assert figure.each == {"theo": 20.0, "lucas": 50.0}


def test_rows_of_a_single_run_are_compared_in_the_same_episodes(tmp_path):
    wrote(tmp_path / "a", [0.5, 0.7, 0.9])
    wrote(tmp_path / "a", [0.6, 0.9, 0.9], **BOTH)
    wrote(tmp_path / "b", [0.5, 0.8, 0.9], **BOTH)
    found = [ran(tmp_path / "a", group="a"), ran(tmp_path / "b", group="b")]
    which = "image+strokes:image+strokes"
    (figure,) = Score(which, "20-way 1-shot", group="a", beside=("image:image",), against=("b",))(
        found
    )
    assert (figure.value, figure.interval, figure.over) == (80.0, 1.0, "episodes")
    mapping, other = figure.baselines
    assert (mapping.name, mapping.gain, mapping.gain_interval) == ("`image:image`", 10.0, 25.0)
    assert (other.name, other.gain) == ("`b`", 7.0)


def test_tuned_rates_may_differ_between_seeds(tmp_path):
    for seed, rate in ((0, "0.01"), (1, "0.032")):
        wrote(tmp_path / str(seed), [0.9, 0.9])
        wrote(tmp_path / str(seed), [0.8, 0.8], predictor=f"adam, rate {rate}", role=Role.TUNED)
    found = [ran(tmp_path / str(seed), str(seed)) for seed in range(2)]
    score = Score("image:image", "20-way 1-shot")
    assert [b.name for b in score(found)[0].baselines] == ["`adam`"]
    assert [b.name for b in score(found[:1])[0].baselines] == ["`adam, rate 0.01`"]


def test_a_row_that_is_not_there_is_named(tmp_path):
    wrote(tmp_path, [0.5])
    with pytest.raises(
        LookupError, match=r"no result\.json has text:image, 20-way 1-shot, the learned row"
    ):
        Score("text:image", "20-way 1-shot")([ran(tmp_path)])


def test_corrupted_episodes_and_other_evaluators_are_rows_of_their_own(tmp_path):
    corrupted = {
        "evaluator": "robustness",
        "corruption": "noise",
        "modality": "image",
        "amount": 0.5,
    }
    wrote(tmp_path, [0.1, 0.2, 0.3], **corrupted)
    wrote(tmp_path, [0.5, 0.7, 0.9])
    wrote(tmp_path, [0.4, 0.7, 0.7], predictor="raw/nearest", role=Role.UNTRAINED)
    (figure,) = Score("image:image", "20-way 1-shot")([ran(tmp_path)])
    assert figure.value == 70.0 and figure.baselines == [
        Baseline("`raw/nearest`", 60.0, 1.0, 10.0, 25.0)
    ]


def test_runs_of_another_version_are_refused(tmp_path):
    wrote(tmp_path / "old", [0.5])
    path = tmp_path / "old" / "result.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": SCHEMA - 1}))
    with pytest.raises(UserError, match=r"schema 1, and this version of mmml reads 2: train anew"):
        Score("image:image", "20-way 1-shot")([ran(tmp_path / "old")])
    with pytest.raises(UserError, match=r"has no result\.json: remove the folder"):
        Score("image:image", "20-way 1-shot")([ran(tmp_path)])


def test_the_calibration_error_is_of_the_worst_column(tmp_path):
    for seed, errors in ((0, (0.02, 0.03)), (1, (0.01, 0.02))):
        for ways, error in enumerate(errors, 2):
            wrote(
                tmp_path / str(seed),
                [error],
                metric="calibration error",
                higher_is_better=False,
                ways=ways,
            )
    (figure,) = Calibration()([ran(tmp_path / "0", "0"), ran(tmp_path / "1", "1")])
    assert figure.value == 2.5 and figure.each == {"0": 3.0, "1": 2.0}


def comparison(role, other, metric, mean, ci95):
    about = {"role": role, "other": other, "metric": metric, "mean": mean, "ci95": ci95}
    return about | {"percent": True, "higher_is_better": True}


def verdict(folder, losses=()):
    """A run that is better than four rows by chrF."""
    played = {
        "task": "generation",
        "support": ("text",),
        "query": ("text",),
        "target": "text",
        "ways": 1,
        "shots": 5,
    }
    ours = row(0.5, predictor="metric", metric="chrF", **played)
    beside = [
        row(0.2, predictor="metric", metric="BLEU", **played),
        row(0.47, predictor="raw", metric="chrF", **played),
    ]
    compared = [comparison("no support", "unadapted", "chrF", 0.1, 0.02)]
    compared += [comparison("untrained", "raw/nearest", "chrF", 0.03, 0.02)]
    about = ours.key.plain() | {
        "comparisons": compared,
        "losses": list(losses),
        "passed": not losses,
    }
    about |= {"missing": [], "diverged": []}
    corrupted = ours.keyed(evaluator="robustness", corruption="noise", modality="text", amount=0.0)
    rows = Results([corrupted, ours, *beside]).plain()
    (folder / "result.json").write_text(
        json.dumps({"schema": SCHEMA, "results": rows, "verdicts": [about]})
    )
    return Verdicts()([ran(folder)])


def test_a_verdict_has_the_first_metric_and_what_it_is_better_than(tmp_path):
    (figure,) = verdict(tmp_path)
    assert (figure.what, figure.metric, figure.unit) == ("text, 5 shots", "chrF", "")
    assert (figure.value, figure.interval, figure.adaptation_helps) == (50.0, 1.0, True)
    assert figure.best_baseline == Baseline("untrained, `raw/nearest`", None, None, 3.0, 2.0)
    assert len(figure.baselines) == 2 and figure.worse_by == []


def test_where_another_metric_is_worse_it_is_named_and_adaptation_does_not_help(tmp_path):
    (figure,) = verdict(tmp_path, [comparison("untrained", "raw/nearest", "BLEU", -0.05, 0.02)])
    assert figure.worse_by == ["BLEU −5.0 ± 2.0 (untrained)"] and figure.adaptation_helps is False


def point(mapping, mean, amount=None, corruption="all", **more):
    support, query = (tuple(side.split("+")) for side in mapping.split(":"))
    key = {
        "evaluator": "robustness",
        "support": support,
        "query": query,
        "corruption": corruption,
        "amount": amount,
    }
    return row(mean, **key, modality="all", n=200, **more)


def robust(folder, points):
    folder.mkdir(parents=True, exist_ok=True)
    rows = Results([row(0.99), *points]).plain()
    (folder / "result.json").write_text(json.dumps({"schema": SCHEMA, "results": rows}))
    return folder


def test_areas_are_over_all_corruptions_where_shots_are_most(tmp_path):
    points = [
        point("a:a", 0.5),
        point("a:a", 0.9, amount=0.5, corruption="noise"),
        point("a:a", 0.7, corruption="noise"),
    ]
    folder = robust(tmp_path, [*points, point("a:a", 0.3, shots=0)])
    assert {mapping: area["mean"] for mapping, area in areas_of(folder).items()} == {"a:a": 0.5}


def fusions(tmp_path, metric="accuracy", scale=1.0):
    """Four fusions on validation; two of them on test, with three seeds."""
    validation = {"mean": 0.6, "concat": 0.61, "gated": 0.65, "attention": 0.64}
    test = {"gated": 0.7, "concat": 0.66}
    found, more = [], {"metric": metric, "percent": metric == "accuracy"}
    tested = more | {"higher_is_better": metric == "accuracy"}
    for fusion, score in validation.items():
        for seed in range(3 if fusion in test else 1):
            folder = tmp_path / f"{fusion}{seed}"
            folders = {}
            if seed == 0:
                both = [point("a:a", 0.5, **more), point("a+b:a+b", score * scale, **more)]
                folders["robust-val"] = robust(folder / "val", both)
            if fusion in test:
                singles = [
                    point("a:a", 0.5 + seed / 100, **tested),
                    point("b:b", 0.6 + seed / 100, **tested),
                ]
                full = point("a+b:a+b", (test[fusion] + 2 * seed / 100) * scale, **tested)
                folders["robust-test"] = robust(folder / "test", [*singles, full])
            found.append(Ran(str(seed), fusion, folders))
    return found


def test_the_chosen_fusion_stands_beside_concat_and_one_modality(tmp_path):
    found = fusions(tmp_path)
    (validated,), (tested,), (alone,) = (
        Areas("gated", beside)(found) for beside in ("validation", "concat", "one modality")
    )
    assert (validated.value, validated.each, len(validated.baselines)) == (65.0, None, 3)
    assert tested.what == "`a+b:a+b`, gated, beside concat" and tested.metric == "area, accuracy"
    assert (tested.value, tested.interval, tested.each) == (
        72.0,
        5.0,
        {"0": 70.0, "1": 72.0, "2": 74.0},
    )
    (concat,) = tested.baselines
    assert (concat.name, concat.value, concat.gain) == ("concat fusion", 68.0, pytest.approx(4.0))
    best = alone.best_baseline
    assert (best.name, best.gain, best.gain_interval) == ("`b:b` alone", 11.0, 2.5)


def test_of_errors_less_is_better(tmp_path):
    (figure,) = Areas("gated", "one modality")(fusions(tmp_path, "MAE", 0.1))
    assert not figure.higher_is_better and figure.unit == "" and figure.value == 0.072
    assert (
        figure.best_baseline.name == "`a:a` alone"
        and figure.best_baseline.gain == pytest.approx(0.438)
    )
