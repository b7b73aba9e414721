import base64
import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from mmml.data.annotated_video import Footage
from mmml.data.base import Granularity, Samples
from mmml.data.column import Column
from mmml.encoders import build_embedder
from mmml.episodes import EpisodeShape, Mapping
from mmml.errors import UserError
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.embed import materialize
from mmml.evaluation.evaluator import Player
from mmml.evaluation.evaluators.keyframes import (
    DRAWS,
    KeyFrames,
    agreement,
    by_time,
    correlations,
    draws,
    overlap,
    people,
    predicted,
)
from mmml.evaluation.setting import EvalSetting
from mmml.methods.controls import Constant
from mmml.tasks import tasks
from tests.conftest import metric_learner
from tests.evaluation.making import CLASSIFICATION, OPTIONS

MAPPING = Mapping.parse("features:features")
TASK = tasks.build("regression", {}, "task")


@pytest.fixture
def frames() -> Samples:
    """Two classes of four videos of ten frames; two annotators see what the first feature says,
    with some noise.
    """
    rng = np.random.default_rng(0)
    values, footage = rng.standard_normal((80, 3)).astype(np.float32), []
    segments = np.stack([np.arange(0, 20, 2), np.arange(1, 20, 2)], axis=1)
    for v in range(8):
        rows = np.arange(10 * v, 10 * v + 10)
        annotated = values[rows, 0] + 0.3 * rng.standard_normal((2, 10))
        shown = np.repeat(
            annotated >= np.quantile(annotated, 0.8, axis=1, keepdims=True), 2, axis=1
        )
        footage.append(Footage(f"v{v}", rows, np.arange(0, 20, 2), annotated, segments, shown, 0.2))
    columns = {
        "features": Column(torch.from_numpy(values)),
        "score": Column.of_scores(values[:, 0]),
    }
    return Samples(["a", "b"], np.array([0, 40, 80]), columns, footage=footage)


def learner(classifier="attention"):
    sections = {
        "width": 3,
        "normalize": False,
        "fusion": "mean",
        "features": {"name": "raw_features"},
    }
    return metric_learner(
        build_embedder(sections, ["features"]), TASK, "euclidean", "infonce", classifier
    )


def context_of(samples, train=None, task=TASK):
    settings = [EvalSetting("few_shot", task, EpisodeShape(1, 5, 5), (MAPPING,))]
    splits = {"test": samples} | ({} if train is None else {"train": train})
    return EpisodeContext({"features": Granularity.SAMPLE}, settings, OPTIONS, splits)


def measured(player, frames, *shots):
    embedded = materialize(learner(), frames, ["features", "score"])
    return by_key(KeyFrames(list(shots)).run(Player(player, embedded), context_of(frames)))


def references(frames, train=None):
    return by_key(KeyFrames([1]).references(context_of(frames, train)))


def by_key(results):
    return {(r.key.predictor, r.key.shots, r.key.metric): r for r in results}


def test_a_learner_is_tested_by_frames_of_other_videos(frames):
    found = measured(learner(), frames, 1, 3)
    one, three = (found["metric/attention", n, "Kendall τ"] for n in (1, 3))
    assert 0.2 < one.mean < three.mean < 1 and one.n == 8 and one.key.task == "summary"
    assert found["metric/attention", 3, "Spearman ρ"].mean > three.mean
    constant = measured(Constant(learner(), "mean"), frames, 3)
    assert constant["constant/mean", 3, "Kendall τ"].mean == 0
    chance = references(frames)["chance", 1, "F"]
    assert constant["constant/mean", 3, "F"].mean == pytest.approx(chance.mean, abs=0.1)


def test_no_video_supports_itself_and_all_learners_meet_the_same(frames):
    first, again = (list(draws(frames, 2, seed=0)) for _ in range(2))
    assert len(first) == 8 * DRAWS
    for (video, support), (_, same) in zip(first, again, strict=True):
        assert not set(video.rows) & set(support) and len(set(support)) == 20
        assert (
            set(frames.labels[support]) == set(frames.labels[video.rows])
            and (support == same).all()
        )


def test_a_score_of_a_video_is_the_mean_over_its_own_draws(frames):
    embedded = materialize(learner(), frames, ["features", "score"])
    rows = list(measured(learner(), frames, 2).values())
    with torch.no_grad():
        own = [
            agreement(predicted(learner(), embedded, MAPPING, v, s), v)
            for v, s in [*draws(frames, 2, 0)][:DRAWS]
        ]
    assert [r.scores[0] for r in rows] == pytest.approx(np.mean(own, axis=0))
    assert [(r.key.metric, len(r.scores)) for r in rows] == [
        ("Kendall τ", 8),
        ("Spearman ρ", 8),
        ("F", 8),
    ]


def test_time_alone_is_the_mean_over_videos_and_annotators(frames):
    said = [np.stack([np.full(10, v), np.arange(10.0)]) for v in range(8)]
    footage = [replace(v, annotations=a) for v, a in zip(frames.footage, said, strict=True)]
    curve = by_time(replace(frames, footage=footage))
    assert curve[[0, 50, 100]] == pytest.approx([1.75, 4.0, 6.25]), "(3.5 + 0 to 9) / 2"


def test_time_alone_is_a_floor_where_what_matters_comes_at_its_time(frames):
    early = [np.linspace(1, 0, len(v.rows)) for v in frames.footage]
    footage = [
        replace(v, annotations=np.stack([e, e])) for v, e in zip(frames.footage, early, strict=True)
    ]
    found = references(replace(frames, footage=footage), replace(frames, footage=footage))
    assert found["position prior", 1, "Kendall τ"].mean > 0.95
    mixed = [
        replace(v, annotations=v.annotations[:, :: -1 if i % 2 else 1])
        for i, v in enumerate(footage)
    ]
    found = references(replace(frames, footage=mixed), replace(frames, footage=mixed))
    assert abs(found["position prior", 1, "Kendall τ"].mean) < 0.1


def test_people_agree_more_than_chance(frames):
    found = references(frames, frames)
    assert (
        found["human agreement", 1, "Kendall τ"].mean
        > 0.4
        > found["chance", 1, "Kendall τ"].mean
        == 0
    )
    assert found["human agreement", 1, "F"].mean > found["chance", 1, "F"].mean > 0
    video = frames.footage[0]
    assert people(video)[0] == pytest.approx(
        correlations(video.annotations[0], video.annotations[1:])[0]
    )


def test_values():
    assert correlations(np.array([1.0, 2, 3]), np.array([[1.0, 2, 3], [3, 2, 1]])) == (0.0, 0.0)
    assert correlations(np.array([1.0, 1, 1]), np.array([[1.0, 2, 3]])) == (0.0, 0.0)
    tied = correlations(np.array([1.0, 2, 2, 3]), np.array([[1.0, 1, 2, 3]]))
    assert tied == pytest.approx((0.8, 0.83333333)), (
        "4 of 6 pairs agree, and one is tied in each: 4 / √(5 · 5)"
    )
    a, b = np.array([True, True, False, False]), np.array([False, True, True, True])
    assert (
        overlap(a, b) == pytest.approx(2 / 5)
        and overlap(a, a) == 1.0
        and overlap(a & b & ~a, a) == 0.0
    )


def test_an_annotators_own_scores_are_perfect(frames):
    video = frames.footage[0]
    alone = replace(video, annotations=video.annotations[:1], summaries=video.summaries[:1])
    assert agreement(video.annotations[0], alone) == pytest.approx((1, 1, 1))
    assert agreement(-video.annotations[0], alone) == pytest.approx((-1, -1, 0))


@pytest.mark.parametrize("unit", [1e-20, 1e-12, 1.0, 1e20])
def test_the_unit_of_what_matters_does_not(frames, unit):
    video = frames.footage[0]
    assert agreement(unit * video.annotations[0], video) == pytest.approx(
        agreement(video.annotations[0], video)
    )
    alike = np.full(len(video.annotations[0]), 0.3) + np.resize(
        [0, 3e-8], len(video.annotations[0])
    )
    assert agreement(unit * alike, video) == agreement(np.ones_like(alike), video)


def test_a_sheet_shows_the_frames_of_the_summary(frames):
    clips = torch.arange(80 * 3, dtype=torch.uint8).view(80, 1, 3, 1, 1).expand(-1, 1, 3, 8, 8)
    shown = replace(frames, columns={**frames.columns, "video": Column(clips)})
    embedded = materialize(learner(), frames, ["features", "score"])
    (sheets,) = (
        KeyFrames([1, 3]).examples([Player(learner(), embedded)], context_of(shown)).values()
    )
    assert [s["name"] for s in sheets] == ["v0", "v4", "v7"]
    first = sheets[0]
    assert len(first["frames"]) == 10 and [f["shown"] for f in first["frames"]] == first["shown"]
    animation = first["animation"].removeprefix("data:image/gif;base64,")
    with Image.open(io.BytesIO(base64.b64decode(animation))) as moving:
        assert moving.format == "GIF" and moving.n_frames == sum(first["shown"]) == 2
    assert max(first["importance"]) == max(first["people"]) == 1 and min(first["people"]) == 0


def test_what_cannot_be_summarised_is_refused(frames):
    KeyFrames([1, 3]).check_samples(context_of(frames))
    with pytest.raises(
        UserError, match=r"evaluation.keyframes.shots=\[4\] .*need 5 of a class, and one has 4"
    ):
        KeyFrames([4]).check_samples(context_of(frames))
    with pytest.raises(UserError, match="needs samples that are frames"):
        KeyFrames([1]).check_samples(
            context_of(Samples(frames.classes, frames.starts, frames.columns))
        )
    with pytest.raises(UserError, match="set task=regression"):
        KeyFrames([1]).check(learner(), context_of(frames, task=CLASSIFICATION))
    for wrong in ([], [0]):
        with pytest.raises(
            UserError,
            match="evaluation.keyframes.shots=.* must be a list of positive whole numbers",
        ):
            KeyFrames(wrong)
