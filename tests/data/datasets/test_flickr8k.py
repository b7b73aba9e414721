import pytest

from mmml.data.base import datasets
from mmml.errors import UserError


@pytest.fixture
def root(flickr8k_root):
    return flickr8k_root


def build(root, **options):
    section = {
        "name": "flickr8k",
        "root": str(root),
        "sentences": ["captions"],
        "size": 32,
        "split_seed": 0,
    }
    return datasets.build_section(section | {"val": 0.25, "test": 0.25} | options, "dataset")


def test_a_photograph_is_a_class_with_five_captions(root):
    parts = build(root).load(["image", "text"])
    assert {s: len(p.classes) for s, p in parts.items()} == {"train": 12, "val": 6, "test": 6}
    train = parts["train"]
    assert (train.counts == 1).all() and train.columns["image"].values[:3].shape == (3, 3, 32, 32)
    text = train.columns["text"]
    assert text.per_class and len(text.values) == 60


def test_sentences_of_other_languages_are_of_the_same_photograph(root):
    parts = build(root, sentences=["en", "de", "fr", "cs"]).load(["text"])
    said = {}
    for part in parts.values():
        for i, name in enumerate(part.classes):
            said[name] = part.columns["text"].values[4 * i : 4 * i + 4].tolist()
    dogs = [s for s in said.values() if "dog" in s[0].lower()]
    assert dogs and all("hund" in s[1].lower() and "chien" in s[2].lower() for s in dogs)
    both = build(root, sentences=["captions", "de"]).load(["text"])["train"].columns["text"]
    assert len(both.values) == 12 * 6


def test_mistakes_are_told(root, tmp_path):
    with pytest.raises(
        UserError, match=r"dataset.sentences=\['es'\] must be a list of captions, en, de, fr, cs"
    ):
        build(root, sentences=["es"])
    (tmp_path / "flickr8k_multi30k").mkdir()
    with pytest.raises(
        UserError, match=r"has no images.zip: put there images.zip, the photographs"
    ):
        build(tmp_path).load(["text"])
