import numpy as np
import pytest
import torch

from mmml.data.base import datasets
from mmml.errors import UserError
from tests.data.slices import slice_fsdd

SPEAKERS = ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]


@pytest.fixture(scope="module")
def root(real_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fsdd")
    slice_fsdd(real_data, folder)
    return folder


def build(root, **options):
    section = {
        "name": "fsdd",
        "root": root and str(root),
        "val_digits": [6, 7],
        "test_digits": [8, 9],
    }
    return datasets.build_section(section | {"speaker": None} | options, "dataset")


def test_digits_are_split_and_speakers_are_groups(root):
    parts = build(root).load(["audio", "text"])
    assert parts["val"].classes == ["six", "seven"] and parts["test"].classes == ["eight", "nine"]
    assert parts["train"].classes == ["zero", "one", "two", "three", "four", "five"]
    test = parts["test"]
    assert (test.counts == 24).all() and test.domains.tolist()[:5] == [*["george"] * 4, "jackson"]
    assert test.groups.tolist()[:5] == [0, 0, 0, 0, 1]
    sound = test.columns["audio"].values[:2]
    # A word takes up to a second.
    assert all(s.dtype == "float32" and 2000 < len(s) < 20000 for s in sound)
    assert test.columns["text"].values.tolist() == ["eight", "nine"]


def test_a_speaker_who_is_left_out_is_heard_in_the_test_only(root):
    parts = build(root, speaker="theo").load(["audio"])
    assert set(parts["test"].domains) == {"theo"} and (parts["test"].counts == 4).all()
    for split in ("train", "val"):
        assert set(parts[split].domains) == set(SPEAKERS) - {"theo"}


def test_a_run_that_heard_a_speaker_is_not_tested_on_them(root):
    heard = build(root, speaker="theo").load(["audio"])
    assert [*heard["test"].kept_apart] == ["speaker theo"] and "speaker theo" not in heard[
        "train"
    ].kept_apart
    assert {*build(root, speaker="george").load(["audio"])["test"].kept_apart} < {
        *heard["train"].kept_apart
    }
    # Where all may be heard in all splits.
    assert [*build(root).load(["audio"])["test"].kept_apart] == []


def test_other_voices_may_give_the_examples(root):
    parts = build(root, speaker="theo", test_speakers="all").load(["audio"])
    assert set(parts["test"].domains) == set(SPEAKERS)
    assert set(parts["train"].domains) == set(SPEAKERS) - {"theo"}


def test_words_nobody_said_are_trained_on_only(root):
    dataset = build(root, speaker="theo", concat_augmentation=True)
    parts = dataset.load(["audio", "text"])
    train = parts["train"]
    assert len(train.classes) == 72 and (train.counts == 20).all()
    assert train.classes[:2] == ["zero", "zero-one"] and train.classes[-1] == "five backwards"
    plain = build(root, speaker="theo").load(["audio"])["train"]
    assert np.array_equal(
        train.columns["audio"].values[:20][3], plain.columns["audio"].values[:20][3]
    )
    assert parts["test"].classes == ["eight", "nine"]


def test_images_are_spliced_with_the_words(root):
    train = build(root, concat_augmentation=True).load(["audio", "image"])["train"]
    images = train.columns["image"].values
    of = {
        name: images[train.starts[c] : train.starts[c + 1]] for c, name in enumerate(train.classes)
    }
    zeros, ones, both = of["zero"], of["one"], of["zero-one"]
    assert torch.equal(both[:, :, :4], zeros[:, :, :4])
    assert all((half == ones[:, :, 4:]).all((1, 2)).any() for half in both[:, :, 4:])
    assert torch.equal(of["zero-one backwards"], both.flip(2))


def test_images_are_of_the_same_digit_and_none_is_used_twice(root):
    train = build(root).load(["audio", "image"])["train"]
    images = train.columns["image"].values
    assert images.dtype == torch.uint8 and images.shape == (144, 8, 8)
    by_digit = images.view(6, 24, 64).float()
    assert len(images.view(144, -1).unique(dim=0)) == 144
    # Zeros have no ink in their middle, ones have.
    middle = by_digit.view(6, 24, 8, 8)[:, :, 3:5, 3:5].mean((1, 2, 3))
    assert middle[0] < 60 < 120 < middle[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speaker": "theodor"}, "dataset.speaker=theodor is none of george, jackson"),
        ({"test_digits": [7, 8]}, "dataset.test_digits: 7 is one of dataset.val_digits too"),
        (
            {"test_digits": [8, 8]},
            "dataset.test_digits=[8, 8] must be a list of different numbers from 0 to 9",
        ),
        ({"test_speakers": "mine"}, "dataset.test_speakers=mine must be own or all"),
        (
            {"val_digits": [10]},
            "dataset.val_digits=[10] must be a list of different numbers from 0 to 9",
        ),
    ],
)
def test_mistakes_are_told(root, options, message):
    with pytest.raises(UserError) as error:
        build(root, **options).load(["audio"])
    assert message in str(error.value)
