from dataclasses import replace

import numpy as np
import pytest
import torch

from mmml.data.column import Column
from mmml.episodes import EpisodeShape, Mapping
from mmml.episodes.corruptions import build_corruptions
from mmml.errors import UserError
from mmml.evaluation.evaluator import Player
from mmml.evaluation.evaluators.robustness import Robustness, applicable, area_under
from mmml.evaluation.setting import EvalSetting
from mmml.evaluation.statistics import interval
from mmml.methods.controls import PermutedTargets
from mmml.reporting.robustness import area_rows, area_table, robustness_curves
from tests.conftest import make_learner
from tests.evaluation.making import CLASSIFICATION, context_of

OPTIONS = {
    "corruptions": ["missing", "noise"],
    "amounts": [1.0, 0.0, 0.5],
    "side": "support",
    "split": "test",
}
OPTIONS |= {"episodes": 200}
MAPPINGS = (Mapping.parse("image:image"), Mapping.parse("image+text:image"))


@pytest.fixture
def context(samples):
    # Of a class, all images.
    alike = samples.columns["image"].values[samples.starts[:-1]][samples.labels]
    samples = replace(samples, columns={**samples.columns, "image": Column(alike)})
    return context_of(
        samples, [EvalSetting("few_shot", CLASSIFICATION, EpisodeShape(4, 1, 1), MAPPINGS)]
    )


def measured(context, **options):
    torch.manual_seed(0)
    return Robustness(**OPTIONS | options).run(Player(make_learner()), context)


def of(results, mapping, **wanted):
    (row,) = [r for r in results.where(**wanted) if r.key.mapping == mapping]
    return row


def test_a_score_falls_to_chance_when_all_is_missing_and_is_untouched_where_nothing_is(context):
    found = measured(context)
    alone, both = map(str, MAPPINGS)
    clean, gone = (
        of(found, alone, corruption="missing", modality="image", amount=a).mean for a in (0.0, 1.0)
    )
    # Ties go to the first label: one of four queries.
    assert gone == pytest.approx(0.25) and clean == 1
    assert of(found, alone, corruption="missing", modality="text", amount=1.0).mean == clean
    assert of(found, alone, corruption="noise", modality="image", amount=0.0).mean == pytest.approx(
        clean
    )
    assert of(found, both, corruption="missing", modality="text", amount=1.0).mean == clean
    assert {r.key.evaluator for r in found} == {"robustness"}


def test_points_may_be_of_fewer_episodes(context):
    few = measured(context, episodes=3)
    assert {r.n for r in few} == {3} and {len(r.scores) for r in few} == {3}
    assert {r.n for r in measured(context)} == {20}


def test_controls_have_no_curves(context):
    assert len(Robustness(**OPTIONS).run(Player(PermutedTargets(make_learner())), context)) == 0


def test_areas_are_of_the_same_episodes(context):
    found = measured(context)
    where = {"mapping": "image:image", "corruption": "missing", "modality": "image"}
    low, half, high = (of(found, amount=a, **where).scores for a in (0.0, 0.5, 1.0))
    area = of(found, amount=None, **where)
    assert np.allclose(area.scores, (low + 2 * half + high) / 4) and area.mean == pytest.approx(
        area.scores.mean()
    )
    *parts, overall = [r for r in found.where(amount=None) if r.key.mapping == "image:image"]
    assert (overall.key.corruption, overall.key.modality) == ("all", "all") and len(parts) == 3
    assert overall.mean == pytest.approx(np.mean([p.mean for p in parts]))
    assert np.allclose(overall.scores, np.mean([p.scores for p in parts], axis=0))
    assert overall.ci95 == pytest.approx(interval(overall.scores)[1])


def test_it_comes_after_what_is_corrupted_anyway(context):
    gone = build_corruptions(
        [{"name": "missing", "modality": "image", "amount": 1.0, "side": "both"}], "corrupt"
    )
    found = measured(replace(context, corruptions=gone))
    for amount in (0.0, 1.0):
        row = of(found, "image:image", corruption="missing", modality="text", amount=amount)
        assert row.mean == pytest.approx(0.25)


def test_a_choice_may_be_made_by_validation_without_a_test_split(context):
    found = measured(replace(context, samples={"val": context.samples["test"]}), split="val")
    assert of(found, "image:image", corruption="missing", modality="image", amount=0.0).mean == 1
    assert {r.key.split for r in found} == {"val"}


def test_the_area_is_a_mean_over_amounts_however_they_lie():
    scores = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 1.0]])
    assert area_under([0.0, 0.5, 1.0], scores).tolist() == [0.5, 0.25]
    assert area_under([0.0, 0.25, 1.0], np.ones((3, 1))).tolist() == [1.0]
    assert area_under([0.0, 0.5], np.array([[1.0], [0.5]])).tolist() == [0.75]
    assert area_under([0.5, 0.75, 1.0], np.array([[0.5], [0.25], [0.0]])).tolist() == [0.25]


def test_each_corruption_is_of_the_modalities_that_it_fits():
    found = applicable(["missing", "typos"], ["image", "text", "audio_features"])
    assert found == [
        ("missing", "image"),
        ("missing", "text"),
        ("typos", "text"),
        ("missing", "audio_features"),
    ]
    with pytest.raises(UserError, match=r"corruptions=mising: .* did you mean 'missing'"):
        applicable(["mising"], ["image"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"amounts": [0.5]},
            r"evaluation.robustness.amounts=\[0.5\] must be a list of several numbers",
        ),
        ({"amounts": [0, 1.5]}, "a list of several numbers from 0 to 1"),
        ({"amounts": [0.5, 0.5]}, "a list of several numbers from 0 to 1"),
        ({"split": "train"}, "evaluation.robustness.split=train must be val or test"),
        ({"side": "left"}, "evaluation.robustness.side=left must be support, query or both"),
        ({"episodes": 0}, "evaluation.robustness.episodes=0 must be a positive whole number"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        Robustness(**OPTIONS | options)


def test_what_cannot_be_played_is_refused_before_anything_is(context, learner):
    def check(context=context, embeds_once=True, **options):
        learner.embeds_once = embeds_once
        Robustness(**OPTIONS | options).check(learner, context)

    with pytest.raises(
        UserError, match=r"robustness.corruptions=\[noize\]=noize: .* did you mean 'noise'"
    ):
        check(corruptions=["noize"])
    with pytest.raises(
        UserError, match=r"evaluation.tta_views=4 must be 1 where robustness is measured"
    ):
        check(replace(context, options=replace(context.options, tta_views=4)))
    texts = [
        EvalSetting(
            "few_shot", CLASSIFICATION, EpisodeShape(4, 1, 1), (Mapping.parse("text:text"),)
        )
    ]
    with pytest.raises(
        UserError, match=r"corruptions=\[noise\]: none can corrupt text; choose of .*typos"
    ):
        check(replace(context, settings=texts), corruptions=["noise"])
    with pytest.raises(
        UserError, match=r"with method.adapt=all encoders cannot adapt to what is missing"
    ):
        check(embeds_once=False)
    with pytest.raises(
        UserError,
        match=r"redundant needs options of its own; ask for it by episode.eval.corruptions",
    ):
        check(corruptions=["redundant"])
    check(embeds_once=False, corruptions=["noise"])


def test_a_split_that_cannot_fill_the_episodes_is_refused(context, samples):
    context.settings = [EvalSetting("few_shot", CLASSIFICATION, EpisodeShape(4, 1, 99), MAPPINGS)]
    with pytest.raises(UserError, match="queries=99"):
        Robustness(**OPTIONS | {"split": "val"}).check_samples(context)


def test_it_is_reported(context):
    rows = measured(context).plain()
    assert (
        "image: noise" in robustness_curves(rows)
        and robustness_curves([]) == ""
        and area_table([]) == []
    )
    titles, lines = area_rows(rows)
    assert titles == ["image: missing", "image: noise", "text: missing", "mean"]
    assert [name for name, _ in lines] == ["image:image", "image+text:image"] and "±" in lines[0][
        1
    ][0]
    assert len(area_table(rows)) == 1
