import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from mmml.datasets import datasets
from mmml.datasets import omniglot as module
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
                archive.writestr(f"{name[:-4]}/{character}/{i:04}_{d:02}.png", corner(100 + 10 * i + d))
        archive.writestr(f"__MACOSX/{name[:-4]}/{characters[0]}/._0000_00.png", b"no picture")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Two archives of 12 characters by three drawers."""
    for name, value in (("CHARACTERS", 12), ("DRAWERS", 3), ("TRAIN", 6), ("TEST", 4)):
        monkeypatch.setattr(module, name, value)
    pack(tmp_path / "omniglot", "images_background.zip", [f"Greek/character{i:02}" for i in range(7)])
    pack(tmp_path / "omniglot", "images_evaluation.zip", [f"Ulog/character{i:02}" for i in range(5)])
    return tmp_path


def build(root, **options):
    section = {"name": "omniglot", "root": root and str(root), "size": 8, "rotations": True, "split_seed": 0}
    return datasets.build_section(section | options, "dataset")


def test_splits_are_disjoint_by_character_with_all_its_turns(small):
    parts = build(small).load()
    assert {split: len(s.classes) for split, s in parts.items()} == {"train": 24, "val": 8, "test": 16}
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
    assert {split: len(s.classes) for split, s in parts.items()} == {"train": 6, "val": 2, "test": 4}


def test_the_split_has_a_seed_of_its_own(small):
    first, again, other = (build(small, split_seed=s).load()["test"].classes for s in (0, 0, 1))
    assert first == again != other


def test_what_is_missing_is_said(tmp_path, small):
    with pytest.raises(UserError, match=r"dataset\.root= is needed"):
        build(None)
    with pytest.raises(UserError, match=r"download them from github.com/brendenlake/omniglot"):
        build(tmp_path / "elsewhere").load()
    (small / "omniglot" / "images_evaluation.zip").unlink()
    with pytest.raises(UserError, match="images_background.zip hold 7 characters with 3 or more drawings"):
        build(small).load()


def test_the_real_thing(real_data):
    parts = build(real_data, size=28).load()
    assert {split: len(s.classes) for split, s in parts.items()} == {"train": 4112, "val": 688, "test": 1692}
    assert set(parts["test"].counts.tolist()) == {20}
