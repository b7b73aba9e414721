from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.config.schema import EvaluationConfig, RobustnessConfig
from mmml.data.base import Granularity
from mmml.data.column import Column
from mmml.episodes import EpisodeShape, Mapping
from mmml.episodes.corruptions import build_corruptions
from mmml.errors import UserError
from mmml.evaluation.judge import Judge
from mmml.evaluation.panel import Setting
from mmml.evaluation.robustness import applicable, area_under, check_robustness, robustness
from mmml.evaluation.statistics import interval
from mmml.reporting.robustness import area_rows, area_table, as_csv, robustness_curves
from mmml.tasks import tasks
from tests.conftest import make_learner

OPTIONS = RobustnessConfig(corruptions=["missing", "noise"], amounts=[1.0, 0.0, 0.5], side="support")
MAPPINGS = (Mapping.parse("image:image"), Mapping.parse("image+text:image"))


@pytest.fixture
def judge(samples):
    alike = samples.columns["image"].values[samples.starts[:-1]][samples.labels]  # of a class, all images
    samples = replace(samples, columns={**samples.columns, "image": Column(alike)})
    options = EvaluationConfig(
        episodes=20, validation_episodes=4, seed=0, retrieval=False, baselines=[], independence_check=False
    )
    setting = Setting(tasks.build("classification", {}, "task"), EpisodeShape(4, 1, 1), MAPPINGS)
    return Judge({"test": samples}, {"image": Granularity.SAMPLE, "text": Granularity.CLASS}, [setting], options)


def found_for(judge):
    torch.manual_seed(0)
    return robustness(judge, make_learner(), OPTIONS)


def of(found, **wanted):
    (number,) = [i for i, p in enumerate(found.points) if all(getattr(p, k) == v for k, v in wanted.items())]
    return found.points[number], found.scores[number]


def test_a_score_falls_to_chance_when_all_is_missing_and_is_untouched_where_nothing_is(judge):
    found = found_for(judge)
    alone, both = map(str, MAPPINGS)
    clean, gone = (
        of(found, mapping=alone, corruption="missing", modality="image", amount=a)[1].mean() for a in (0.0, 1.0)
    )
    assert gone == pytest.approx(0.25) and clean == 1  # ties go to the first label: one of four queries
    other = of(found, mapping=alone, corruption="missing", modality="text", amount=1.0)[1]
    assert other.mean() == clean
    noisy = of(found, mapping=alone, corruption="noise", modality="image", amount=0.0)[1]
    assert noisy.mean() == pytest.approx(clean)
    assert of(found, mapping=both, corruption="missing", modality="text", amount=1.0)[1].mean() == clean


def test_points_may_be_of_fewer_episodes(judge):
    torch.manual_seed(0)
    few = robustness(judge, make_learner(), replace(OPTIONS, episodes=3))
    assert {p.episodes for p in few.points} == {3} and {len(s) for s in few.scores} == {3}
    assert {p.episodes for p in found_for(judge).points} == {20}


def test_areas_are_of_the_same_episodes(judge):
    found = found_for(judge)
    where = {"mapping": "image:image", "corruption": "missing", "modality": "image"}
    low, half, high = (of(found, amount=a, **where)[1] for a in (0.0, 0.5, 1.0))
    area, scores = of(found, amount=None, **where)
    assert np.allclose(scores, (low + 2 * half + high) / 4) and area.mean == pytest.approx(scores.mean())
    overall = of(found, amount=None, mapping="image:image", corruption="all", modality="all")[0]
    parts = [p.mean for p in found.points if p.amount is None and p.mapping == "image:image" and p.corruption != "all"]
    assert len(parts) == 3 and overall.mean == pytest.approx(np.mean(parts))
    where = {"amount": None, "mapping": "image:image"}
    each = [s for p, s in zip(found.points, found.scores, strict=True) if where.items() <= vars(p).items()]
    *areas, together = each
    assert np.allclose(together, np.mean(areas, axis=0)) and overall.ci95 == pytest.approx(interval(together)[1])


def test_it_comes_after_what_is_spoiled_anyway(judge):
    gone = build_corruptions([{"name": "missing", "modality": "image", "amount": 1.0, "side": "both"}], "corrupt")
    found = found_for(replace(judge, corruptions=gone))
    for amount in (0.0, 1.0):
        where = {"mapping": "image:image", "corruption": "missing", "modality": "text", "amount": amount}
        assert of(found, **where)[1].mean() == pytest.approx(0.25)


def test_a_choice_may_be_made_by_validation_without_a_test_split(judge):
    alone = replace(judge, samples={"val": judge.samples["test"]})
    torch.manual_seed(0)
    found = robustness(alone, make_learner(), replace(OPTIONS, split="val"))
    clean = of(found, mapping="image:image", corruption="missing", modality="image", amount=0.0)[1]
    assert clean.mean() == 1


def test_the_area_is_a_mean_over_amounts_however_they_lie():
    scores = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 1.0]])
    assert area_under([0.0, 0.5, 1.0], scores).tolist() == [0.5, 0.25]
    assert area_under([0.0, 0.25, 1.0], np.ones((3, 1))).tolist() == [1.0]
    assert area_under([0.0, 0.5], np.array([[1.0], [0.5]])).tolist() == [0.75]
    assert area_under([0.5, 0.75, 1.0], np.array([[0.5], [0.25], [0.0]])).tolist() == [0.25]


def test_each_corruption_is_of_the_modalities_that_it_fits():
    found = applicable(["missing", "typos"], ["image", "text", "audio_features"])
    assert found == [("missing", "image"), ("missing", "text"), ("typos", "text"), ("missing", "audio_features")]
    with pytest.raises(UserError, match=r"corruptions=mising: .* did you mean 'missing'"):
        applicable(["mising"], ["image"])
    with pytest.raises(UserError, match=r"amounts=\[0.5\] must be a list of several numbers"):
        RobustnessConfig(amounts=[0.5])


def test_mistakes_are_found_before_anything_is_judged(judge):
    wrong = replace(judge.options, robustness=RobustnessConfig(corruptions=["noize"]))
    with pytest.raises(UserError, match=r"robustness.corruptions=noize: .* did you mean 'noise'"):
        replace(judge, options=wrong)
    with pytest.raises(UserError, match=r"evaluation.tta_views=4 must be 1 where robustness is measured"):
        replace(judge.options, tta_views=4, robustness=RobustnessConfig(run=True))


def test_what_cannot_be_played_is_refused_before_anything_is():
    with pytest.raises(UserError, match=r"corruptions=\[noise\]: none can spoil text; choose of .*typos"):
        check_robustness(
            RobustnessConfig(run=True, corruptions=["noise"]), [Mapping.parse("text:text")], embeds_once=True
        )
    with pytest.raises(UserError, match=r"with method.adapt=all encoders cannot adapt to what is missing"):
        check_robustness(RobustnessConfig(run=True), MAPPINGS, embeds_once=False)
    with pytest.raises(UserError, match=r"redundant needs options of its own; ask for it by episode.eval.corruptions"):
        check_robustness(RobustnessConfig(run=True, corruptions=["redundant"]), MAPPINGS, embeds_once=True)
    check_robustness(RobustnessConfig(run=True, corruptions=["noise"]), MAPPINGS, embeds_once=False)


def test_it_is_reported(judge):
    points = found_for(judge).plain()
    assert len(as_csv(points).splitlines()) == len(points) + 1
    assert "image: noise" in robustness_curves(points) and robustness_curves([]) == "" and area_table([]) == []
    titles, rows = area_rows(points)
    assert titles == ["image: missing", "image: noise", "text: missing", "mean"]
    assert [name for name, _ in rows] == ["image:image", "image+text:image"] and "±" in rows[0][1][0]
    assert len(area_table(points)) == 1
