import numpy as np
import pytest

from mmml.data.base import datasets
from mmml.errors import UserError

EVERY = ("train", "val", "test")


@pytest.fixture
def root(emoji_root):
    return emoji_root


def build(root, **options):
    section = {"name": "emoji_texts", "root": root and str(root), "classes": "languages"}
    section |= {
        "languages": ["en", "de", "fr"],
        "val_languages": ["de"],
        "test_languages": ["fr"],
        "source": None,
        "disjoint_items": True,
    }
    section |= {
        "keywords": False,
        "min_class_size": 4,
        "size": 16,
        "split_seed": 0,
        "val": 0.2,
        "test": 0.2,
    }
    return datasets.build_section(section | options, "dataset")


def test_languages_and_emoji_are_held_out(root):
    parts = build(root).load(["image", "text"])
    assert [parts[s].classes for s in EVERY] == [["en"], ["de"], ["fr"]]
    assert [len(parts[s].kept_apart) for s in EVERY] == [20, 6, 6]
    assert len(set().union(*(parts[s].kept_apart for s in EVERY))) == 32
    for part in parts.values():
        assert part.columns["image"].values[:].shape == (len(part.labels), 3, 16, 16)
        assert not any(c.per_class for c in part.columns.values())
    (taco,) = [s for s in EVERY if "1f32e" in parts[s].kept_apart]
    assert "taco" in {t.casefold() for t in parts[taco].columns["text"].values}


def test_the_emoji_are_split_as_the_dataset_of_classes_splits_them(root):
    section = {
        "name": "emoji",
        "root": str(root),
        "samples": "artworks",
        "languages": ["en"],
        "keywords": False,
    }
    section |= {"size": 16, "split_seed": 0, "val": 0.2, "test": 0.2}
    other = datasets.build_section(section, "dataset").load([])
    assert build(root).identity == "emoji"
    for split, part in build(root).load([]).items():
        assert sorted(other[split].kept_apart) == part.kept_apart
        assert {c.rpartition("(")[2][:-1] for c in other[split].classes} == set(part.kept_apart)


def test_emoji_may_be_the_same_in_all_languages(root):
    parts = build(root, disjoint_items=False).load(["image", "text"])
    assert [parts[s].classes for s in EVERY] == [["en"], ["de"], ["fr"]]
    assert all(len(p.labels) == 32 and not p.kept_apart for p in parts.values())


def test_a_translation_has_its_source_which_is_no_class(root):
    parts = build(
        root, source="en", val_languages=["de"], test_languages=["fr"], languages=["de", "fr"]
    ).load(["text"])
    assert [parts[s].classes for s in EVERY] == [[], ["de"], ["fr"]]
    test = parts["test"]
    both = list(zip(test.columns["source_text"].values, test.columns["text"].values, strict=True))
    assert len(both) == 6 and all(a and b for a, b in both) and any(a != b for a, b in both)


def test_topics_are_held_out_whole(root):
    parts = build(
        root, classes="topics", languages=["en"], val_languages=[], test_languages=[]
    ).load(["image"])
    topics = [set(parts[s].classes) for s in EVERY]
    assert all(topics) and not topics[0] & topics[1] | topics[0] & topics[2] | topics[1] & topics[2]
    assert all((parts[s].counts >= 4).all() for s in EVERY)


def test_keywords_are_texts_too_in_training_alone(root):
    plain, more = (build(root, keywords=k).load([]) for k in (False, True))
    assert len(more["train"].labels) > 2 * len(plain["train"].labels)
    assert np.array_equal(more["test"].starts, plain["test"].starts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"test_languages": ["xx"]}, "dataset.test_languages=.* must be some of en, de, fr"),
        ({"val_languages": []}, "dataset.val_languages"),
        ({"val_languages": ["fr"]}, "fr is among dataset.val_languages too"),
        ({"source": "fr"}, "dataset.test_languages"),
        (
            {"classes": "topics", "source": "en"},
            "dataset.source=en is what dataset.languages asks for",
        ),
        ({"classes": "words"}, "languages or topics"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        build("nowhere", **options)
