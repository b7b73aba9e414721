import numpy as np
import pytest
import torch

from mmml.data.base import datasets
from mmml.data.datasets.moving_glyphs import (
    FRAMES,
    MOTIONS,
    OPPOSITE,
    SAMPLES,
    SIDE,
    Scene,
    choose_scenes,
    drawn,
    split_pairs,
    state_after,
)
from mmml.errors import UserError


def build(**options):
    section = {"name": "moving_glyphs", "split_seed": 0, "held_out": "both", "scenes": 60}
    return datasets.build_section(section | options, "dataset")


@pytest.fixture(scope="module")
def parts():
    return build().load(["video", "text"])


def centre(frame):
    """Of the ink, x and y as fractions of the frame."""
    ink = frame.float()
    pixels = torch.arange(SIDE).float()
    return (ink.sum(0) @ pixels / ink.sum()).item() / SIDE, (
        ink.sum(1) @ pixels / ink.sum()
    ).item() / SIDE


def play(first, second, position=(0.0, 0.0), change_frames=6):
    """The actor's frames of a scene: a block of ink that points to the right."""
    face = torch.zeros(1, 32, 32, dtype=torch.uint8)
    face[0, 12:20, 8:24] = 200
    face[0, 8:24, 18:24] = 200
    shares = [
        {
            first: min(1.0, t / (change_frames - 1)),
            second: max(0.0, (t - change_frames + 1) / (FRAMES - change_frames)),
        }
        for t in range(FRAMES)
    ]
    states = [state_after(s, np.array(position), 1.0)[0] for s in shares]
    return drawn(face, torch.tensor([states]).float())[0]


def test_a_scene_is_a_class_of_twelve_videos_and_its_sentence(parts):
    assert {s: len(p.classes) for s, p in parts.items()} == {"train": 60, "val": 10, "test": 10}
    train = parts["train"]
    videos = train.columns["video"].values
    assert len(videos) == 60 * SAMPLES and train.columns["text"].per_class
    some = videos[np.array([0, 1, 15])]
    assert some.shape == (3, FRAMES, 3, SIDE, SIDE) and some.dtype == torch.uint8
    assert torch.equal(some[1], videos[1:2][0]) and not torch.equal(some[0], some[1])
    assert torch.equal(some[:, :, 0], some[:, :, 2])
    assert train.classes == train.columns["text"].values.tolist() and len(set(train.classes)) == 60


def test_another_load_draws_the_same(parts):
    again = build().load(["video", "text"])["test"].columns["video"].values
    assert torch.equal(again[5:8], parts["test"].columns["video"].values[5:8])
    other = build(split_seed=1).load(["video", "text"])["test"]
    assert set(other.classes).isdisjoint(parts["test"].classes)


@pytest.mark.parametrize(
    ("motion", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)]
)
def test_the_sentence_is_true_of_where_it_goes(motion, axis, sign):
    frames = play(motion, "grow")
    before, after = centre(frames[0])[axis], centre(frames[5])[axis]
    assert sign * (after - before) > 0.15
    assert abs(centre(frames[5])[1 - axis] - centre(frames[0])[1 - axis]) < 0.02
    later = play("grow", motion)
    assert abs(centre(later[5])[axis] - centre(later[0])[axis]) < 0.02
    assert sign * (centre(later[-1])[axis] - centre(later[5])[axis]) > 0.15


def test_the_sentence_is_true_of_how_it_changes():
    ink = {m: play(m, "up").float().sum((1, 2)) for m in ("grow", "shrink", "appear")}
    assert ink["grow"][5] > 2 * ink["grow"][0] and ink["shrink"][5] < ink["shrink"][0] / 2
    assert ink["appear"][0] == 0 < ink["appear"][5]
    vanishing = play("up", "vanish").float().sum((1, 2))
    assert vanishing[5] > 0 and vanishing[-1] == 0
    # It points to the right; turned to the right (clockwise, as it is seen) it points down.
    assert centre(play("turn", "grow")[0])[0] > 0.505
    assert centre(play("turn", "grow")[5])[1] > 0.505 > 0.495 > centre(play("back", "grow")[5])[1]


def test_those_who_meet_end_beside_one_another():
    for position in ((0.0, 0.0), (0.15, -0.1), (-0.15, 0.1)):
        before, after = (
            state_after({"meet": share, "grow": 0.0}, np.array(position), 1.0)
            for share in (0.01, 1.0)
        )
        assert abs(before[1][0] - before[0][0]) > 1.3 and abs(
            after[1][0] - after[0][0]
        ) == pytest.approx(0.6)
        assert abs(after[1][0]) < 1  # in sight
        assert state_after({"grow": 1.0}, np.array(position), 1.0)[1][4] == 0  # nobody else is seen


def test_sentences():
    names = ["LATIN CAPITAL LETTER A", "DIGIT ONE"]
    assert (
        Scene(0, 1, "meet", "grow").sentence(names)
        == "LATIN CAPITAL LETTER A meets DIGIT ONE, then grows"
    )
    assert (
        Scene(1, 0, "up", "turn").sentence(names) == "DIGIT ONE moves up, then turns to the right"
    )


def test_key_frames_lie_in_the_middle_of_each_motion(parts):
    shown = parts["train"].keyframes
    assert shown.shape == (60 * SAMPLES, FRAMES) and (shown.sum(1) == 2).all()
    change_frames = parts["train"].columns["video"].values.change_frames
    assert all(
        row[: t // 2 + 1].sum() == 1 and row[t:].sum() == 1
        for row, t in zip(shown, change_frames, strict=True)
    )


def test_pairs_of_motions_are_held_out_but_no_motion_is():
    pairs = split_pairs(0)
    assert (
        len({p for several in pairs.values() for p in several})
        == sum(map(len, pairs.values()))
        > 70
    )
    assert {m for pair in pairs["train"] for m in pair} == set(MOTIONS)
    assert {a for a, _ in pairs["test"]} <= {a for a, _ in pairs["train"]}
    assert {b for _, b in pairs["test"]} <= {b for _, b in pairs["train"]}


@pytest.mark.parametrize(
    ("held_out", "cast", "moves"), [("characters", True, False), ("motions", False, True)]
)
def test_what_is_held_out(held_out, cast, moves):
    loaded = build(held_out=held_out).load(["video", "text"])
    actors, pairs = {}, {}
    for split, part in loaded.items():
        scenes = part.columns["video"].values.scenes
        actors[split] = {c.split(" m")[0].split(",")[0] for c in part.classes}
        pairs[split] = {(s.first, s.second) for s in scenes}
    assert pairs["test"].isdisjoint(pairs["train"]) == moves
    glyphs = datasets.build_section(
        {"name": "glyphs", "split_seed": 0, "val": 0.15, "test": 0.15}, "dataset"
    ).load()
    held = set(glyphs["test"].columns["text"].values)
    assert all(any(c.startswith(n) for n in held) for c in loaded["test"].classes) == cast


def test_mistakes_are_told():
    with pytest.raises(
        UserError, match="dataset.held_out=nothing must be characters, motions or both"
    ):
        build(held_out="nothing")
    with pytest.raises(UserError, match="dataset.scenes=5 must be 60 or more"):
        build(scenes=5)


@pytest.mark.parametrize(("held_out", "kinds"), [("characters", 1), ("motions", 1), ("both", 2)])
def test_what_is_new_in_the_test_is_in_no_other_split(held_out, kinds):
    parts = build(held_out=held_out).load([])
    new, known = {*parts["test"].kept_apart}, {*parts["train"].kept_apart, *parts["val"].kept_apart}
    assert new and not new & known
    assert {", then " in name for name in new} == {"both": {True, False}, "motions": {True}}.get(
        held_out, {False}
    )
    other = build(held_out="characters" if held_out == "motions" else "motions", split_seed=1).load(
        []
    )
    assert kinds == 2 or {*other["train"].kept_apart} & new  # though no sentence is the same


def test_the_other_does_not_jump_when_the_first_crosses_the_middle():
    shares = [{"meet": 1.0, "left": s} for s in np.linspace(0, 1, 12)]
    positions = [state_after(s, np.array([0.1, 0.0]), 1.0)[1][0] for s in shares]
    assert np.abs(np.diff(positions)).max() < 0.1


def test_no_scene_is_drawn_twice_and_nobody_meets_themselves():
    for cast in (2, 5):
        scenes = choose_scenes("train", cast, [("up", "meet"), ("left", "grow")], 2 * cast, seed=0)
        assert len({(s.actor, s.first, s.second) for s in scenes}) == 2 * cast
        assert all(0 <= s.other < cast and s.other != s.actor for s in scenes)
    assert choose_scenes("val", 9, [("up", "grow")], 5, 0) != choose_scenes(
        "test", 9, [("up", "grow")], 5, 0
    )


def test_no_second_motion_undoes_the_first():
    pairs = {pair for several in split_pairs(0).values() for pair in several}
    assert not pairs & {
        *OPPOSITE.items(),
        *((b, a) for a, b in OPPOSITE.items()),
        *((m, m) for m in MOTIONS),
    }
