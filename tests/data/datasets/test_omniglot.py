import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from mmml.data.base import datasets
from mmml.data.datasets.omniglot import archives, splits
from mmml.errors import UserError


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def corner(ink):
    """White paper with a black square in the upper left."""
    pixels = np.full((16, 16), 255, np.uint8)
    pixels[:8, :8] = 255 - ink
    return png(pixels)


def pack(folder, name, characters, drawers=3):
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as archive:
        for i, character in enumerate(characters):
            for d in range(drawers):
                archive.writestr(
                    f"{name[:-4]}/{character}/{i:04}_{d:02}.png", corner(100 + 10 * i + d)
                )
        archive.writestr(f"__MACOSX/{name[:-4]}/{characters[0]}/._0000_00.png", b"no picture")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Two archives of 12 characters by three drawers."""
    for module, name, value in (
        (archives, "CHARACTERS", 12),
        (archives, "DRAWERS", 3),
        (splits, "TRAIN", 6),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(splits, "TEST", 4)
    pack(
        tmp_path / "omniglot", "images_background.zip", [f"Greek/character{i:02}" for i in range(7)]
    )
    pack(
        tmp_path / "omniglot", "images_evaluation.zip", [f"Ulog/character{i:02}" for i in range(5)]
    )
    return tmp_path


def build(root, **options):
    section = {
        "name": "omniglot",
        "root": root and str(root),
        "size": 8,
        "rotations": True,
        "split_seed": 0,
    }
    return datasets.build_section(section | options, "dataset")


def test_splits_are_disjoint_by_character_with_all_its_turns(small):
    parts = build(small).load()
    assert {split: len(s.classes) for split, s in parts.items()} == {
        "train": 24,
        "val": 8,
        "test": 16,
    }
    characters = [{c.rsplit("/", 1)[0] for c in s.classes} for s in parts.values()]
    assert [len(c) for c in characters] == [6, 2, 4] and len(set.union(*characters)) == 12
    assert parts["val"].counts.tolist() == [3] * 8


def test_turns_are_classes_of_their_own(small):
    train = build(small).load()["train"]
    images = train.columns["image"].values
    assert images.dtype == torch.uint8 and images.shape == (72, 8, 8)
    upright, turned = images[0], images[3]
    assert train.classes[0].endswith("rot000") and train.classes[1].endswith("rot090")
    assert torch.equal(turned, upright.rot90(1, (0, 1))) and not torch.equal(turned, upright)
    assert upright[4:, 4:].max() == 0  # paper is 0


def test_without_turns(small):
    parts = build(small, rotations=False).load()
    assert {split: len(s.classes) for split, s in parts.items()} == {
        "train": 6,
        "val": 2,
        "test": 4,
    }


def test_the_split_has_a_seed_of_its_own(small):
    first, again, other = (build(small, split_seed=s).load()["test"].classes for s in (0, 0, 1))
    assert first == again != other


def test_what_is_missing_is_said(tmp_path, small):
    with pytest.raises(
        UserError, match=r"omniglot has no images_background.zip and .*: run mmml-data get omniglot"
    ):
        build(tmp_path / "elsewhere").load()
    (small / "omniglot" / "images_evaluation.zip").unlink()
    with pytest.raises(
        UserError, match="images_background.zip hold 7 characters with 3 or more drawings"
    ):
        build(small).load()


@pytest.fixture
def alphabets(small, monkeypatch):
    """The same with strokes of the background alphabet, and two runs on the evaluation alphabet."""
    monkeypatch.setattr(splits, "EVALUATION", ("Ulog",))
    monkeypatch.setattr(splits, "MINIMAL", {"small1": ("Greek",)})
    folder = small / "omniglot"
    with zipfile.ZipFile(folder / "strokes_background.zip", "w") as archive:
        for i in range(7):
            for d in range(3):
                lines = f"START\n1.5,-2.5,0\n4,-8.25,{d}\nBREAK\n{i},-1,9\nBREAK\n"
                archive.writestr(
                    f"strokes_background/Greek/character{i:02}/{i:04}_{d:02}.txt", lines
                )
    with zipfile.ZipFile(folder / "all_runs.zip", "w") as archive:
        for run in ("run01", "run02"):
            for c in (0, 1, 2):
                archive.writestr(f"{run}/training/class{c + 1:02}.png", corner(100 + 10 * c))
                archive.writestr(f"{run}/test/item{3 - c:02}.png", corner(100 + 10 * c + 2))
            lines = [
                f"{run}/test/item{3 - c:02}.png {run}/training/class{c + 1:02}.png"
                for c in (0, 1, 2)
            ]
            archive.writestr(f"{run}/class_labels.txt", "\n".join(lines))
    return small


def test_whole_alphabets_are_held_out(alphabets):
    parts = build(alphabets, rotations=False, split="small1").load()
    assert [{c.split("/")[0] for c in s.classes} for s in parts.values()] == [
        {"Greek"},
        set(),
        {"Ulog"},
    ]
    assert parts["train"].superclasses.tolist() == [0] * 7


@pytest.mark.parametrize("rotations", [False, True])
def test_the_published_runs_are_rows_of_the_test_split(alphabets, rotations):
    test = build(alphabets, rotations=rotations, split="small1").load()["test"]
    images, runs = test.columns["image"].values[:, 0, 0], test.official_episodes
    assert runs.support.shape == runs.query.shape == (2, 3, 1) and runs.classes.shape == (2, 3)
    assert images[runs.support[1, :, 0]].tolist() == [100, 110, 120]
    assert images[runs.query[1, :, 0]].tolist() == [102, 112, 122]
    assert (test.labels[runs.query[..., 0]] == runs.classes).all()
    assert [test.classes[c] for c in runs.classes[0]] == [
        f"Ulog/character{c:02}/rot000" for c in range(3)
    ]


def test_strokes_belong_to_the_images_and_turn_with_them(alphabets):
    parts = build(alphabets, split="small1").load(["image", "strokes"])
    strokes = parts["train"].columns["strokes"].values
    assert len(strokes) == 7 * 4 * 3 and "strokes" not in parts["test"].columns
    # Of the second character, by the second drawer.
    upright, turned = strokes[12 + 1], strokes[12 + 3 + 1]
    assert upright.tolist() == [[1.5, 2.5, 0, 0], [4, 8.25, 1, 0], [1, 1, 9, 1]]
    paper = torch.zeros(105, 105)
    paper[8, 4] = 1
    y, x = paper.rot90(1, (0, 1)).nonzero()[0].tolist()
    assert turned[1, :2].tolist() == [8.25, 101] and (x, y + 1) == (
        8,
        101,
    )  # pixel 4 is from 4 to 5, and so from 101 to 100


def test_training_characters_without_strokes_are_refused(alphabets):
    with pytest.raises(
        UserError, match="not all training characters have strokes; get strokes_background.zip"
    ):
        build(alphabets, split="random").load(["image", "strokes"])
    with pytest.raises(UserError, match="dataset.split=small3 must be one of random, vinyals"):
        build(alphabets, split="small3")


def test_the_official_runs(real_data):
    test = build(real_data, size=28, rotations=False, split="background").load()["test"]
    runs = test.official_episodes
    assert runs.support.shape == (20, 20, 1) and len(set(test.superclasses[runs.classes[3]])) == 1
    assert test.classes[runs.classes[0, 0]] == "Atlantean/character09/rot000"


def test_the_split_of_vinyals(real_data):
    parts = build(real_data, size=28, split="vinyals").load()
    assert {split: len(s.classes) for split, s in parts.items()} == {
        "train": 4112,
        "val": 688,
        "test": 1692,
    }
    assert any(c.startswith("Gurmukhi/character42/") for c in parts["test"].classes)


def test_the_real_thing(real_data):
    parts = build(real_data, size=28).load()
    assert {split: len(s.classes) for split, s in parts.items()} == {
        "train": 4112,
        "val": 688,
        "test": 1692,
    }
    assert set(parts["test"].counts.tolist()) == {20}
    assert parts["test"].duplicates is None and parts["val"].duplicates is None
    train = parts["train"]
    # Two people made the same dot.
    shared = np.flatnonzero(np.bincount(train.duplicates)[train.duplicates] > 1)
    assert {train.classes[c].rsplit("/", 1)[0] for c in train.labels[shared]} == {
        "Braille/character01"
    }
