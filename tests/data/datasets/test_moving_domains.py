import numpy as np
import pytest
import torch

from mmml.data.base import datasets
from mmml.data.datasets.moving_domains import WINDOW, nearness
from mmml.data.datasets.moving_glyphs import FRAMES, SIDE
from mmml.errors import UserError
from tests.conftest import scores_of

EVERY = ("train", "val", "test")


def build(**options):
    section = {
        "name": "moving_domains",
        "split_seed": 0,
        "classes": "characters",
        "samples": "videos",
    }
    return datasets.build_section(
        section | {"domains": 12, "videos": 4, "change_frames": [5, 7]} | options, "dataset"
    )


@pytest.fixture(scope="module")
def frames():
    return build(classes="motions", samples="frames").load(["video"])


def test_the_videos_of_a_class_are_of_one_character():
    parts = build().load(["video", "text"])
    assert [len(parts[s].classes) for s in EVERY] == [12, 2, 2]
    assert len({c for p in parts.values() for c in p.classes}) == 16
    train = parts["train"]
    texts = train.columns["text"]
    assert not texts.per_class and train.counts.tolist() == [4] * 12
    for name, own in zip(train.classes, texts.values.reshape(12, 4), strict=True):
        assert len(set(own)) == 4 and all(t.startswith(f"{name} ") for t in own)
    videos = train.columns["video"].values
    assert videos[np.array([0, 5])].shape == (2, FRAMES, 3, SIDE, SIDE)
    assert len({videos.values.face[row] for row in videos.rows[:4]}) == 4  # fonts


def test_the_videos_of_a_class_are_of_one_pair_of_motions():
    parts = build(classes="motions").load(["video", "text"])
    assert not set(parts["train"].classes) & set(parts["test"].classes)
    assert not set(parts["train"].kept_apart) & set(parts["test"].kept_apart)  # characters
    met = [t for t in parts["train"].columns["text"].values if "meets " in t]
    assert met and all(
        any(name in t.partition("meets ")[2] for name in parts["train"].kept_apart) for t in met
    )
    first = parts["test"].columns["text"].values[:4]
    assert len(set(first)) == 4


def test_a_frame_is_shown_with_those_around_it(frames):
    test = frames["test"]
    windows = test.columns["video"].values
    assert len(windows) == 2 * 4 * FRAMES and test.starts.tolist() == [0, 4 * FRAMES, 8 * FRAMES]
    full = build(classes="motions").load(["video"])["test"].columns["video"].values[1:2][0]
    own = windows[np.arange(FRAMES, 2 * FRAMES)]
    assert own.shape == (FRAMES, WINDOW, 3, SIDE, SIDE)
    assert torch.equal(own[:, WINDOW // 2], full)
    assert torch.equal(own[0, 0], full[0]) and torch.equal(own[0, -1], full[2])
    assert torch.equal(own[5], full[3:8])


def test_scores_say_how_near_a_key_frame_is(frames):
    test = frames["test"]
    video = test.footage[3]
    assert video.rows.tolist() == list(range(3 * FRAMES, 4 * FRAMES)) and set(
        test.groups[video.rows]
    ) == {3}
    scores = scores_of(test)[video.rows]
    assert (
        np.flatnonzero(scores == 1) == np.flatnonzero(video.summaries[0])
    ).all() and video.summaries.sum() == 2
    assert video.budget == 2 / FRAMES and (video.annotations[0] == scores).all()
    assert nearness(np.array([[False, True, False, False]]))[0] == pytest.approx(
        np.exp([-0.5, 0, -0.5, -2])
    )


@pytest.mark.parametrize(("change_frames", "latest"), [([2, 10], 11), ([5, 7], 9), ([5, 5], 8)])
def test_the_second_motion_begins_within_some_frames(change_frames, latest):
    train = build(classes="motions", samples="frames", videos=12, change_frames=change_frames).load(
        ["video"]
    )["train"]
    shown = np.array([video.summaries[0] for video in train.footage])
    assert (
        shown.sum(1).tolist() == [2] * len(shown) and np.flatnonzero(shown.any(0)).max() == latest
    )
    begun = train.columns["video"].values.videos.change_frames
    assert (begun.min(), begun.max()) == tuple(change_frames)


def test_runs_from_before_turning_was_an_option_meant_the_middle():
    older = build()
    section = {
        "name": "moving_domains",
        "split_seed": 0,
        "classes": "characters",
        "samples": "videos",
    }
    assert (
        datasets.build_section(section | {"domains": 12, "videos": 4}, "dataset").change_frames
        == older.change_frames
        == (5, 7)
    )


WRONG = [{"classes": "words"}, {"samples": "all"}, {"domains": 3}, {"videos": 1}]


@pytest.mark.parametrize(
    "options",
    [*WRONG, *({"change_frames": t} for t in ([], [7, 5], [1, 7], [5, 11], [5, 6, 7]))],
    ids=lambda o: next(iter(o)),
)
def test_wrong_options_are_refused(options):
    with pytest.raises(UserError, match=f"dataset.{next(iter(options))}="):
        build(**options)
