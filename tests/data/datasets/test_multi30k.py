import pytest

from mmml.data.base import Granularity, datasets
from mmml.errors import UserError

EVERY = ("train", "val", "test")
LANGUAGES = {
    "train_languages": ["en", "de", "fr"],
    "val_languages": ["en", "de", "fr"],
    "test_languages": ["cs"],
}
DIRECTIONS = {
    "train_languages": ["en-de", "en-fr"],
    "val_languages": ["de-fr"],
    "test_languages": ["en-cs", "de-cs"],
}


@pytest.fixture
def root(flickr8k_root):
    return flickr8k_root


def build(root, **options):
    section = {"name": "multi30k", "root": str(root), **LANGUAGES, "size": 32}
    section |= {"split_seed": 0, "val": 0.25, "test": 0.25}
    return datasets.build_section(section | options, "dataset")


def test_a_language_has_photographs_and_sentences(root):
    dataset = build(root)
    assert dataset.modalities == {"image": Granularity.SAMPLE, "text": Granularity.SAMPLE}
    parts = dataset.load(["image", "text"])
    assert [parts[s].classes for s in EVERY] == list(LANGUAGES.values())
    train, test = parts["train"], parts["test"]
    assert train.counts.tolist() == [12] * 3 and test.counts.tolist() == [6]
    assert len(train.columns["image"].values) == len(train.columns["text"].values) == 36
    assert not set(train.kept_apart) & set(test.kept_apart)
    english, german = (train.columns["text"].values[s] for s in (slice(0, 12), slice(12, 24)))
    assert all(a != b for a, b in zip(english, german, strict=True))
    first, again = (train.columns["image"].values[i : i + 1] for i in (0, 12))
    assert (first == again).all()  # the same photograph in another language
    assert (
        train.groups[:12].tolist() == train.groups[12:24].tolist()
        and len(set(train.groups.tolist())) == 12
    )


def test_a_direction_has_sentences_and_translations(root):
    dataset = build(root, **DIRECTIONS)
    assert dataset.modalities == {"source_text": Granularity.SAMPLE, "text": Granularity.SAMPLE}
    parts = dataset.load(["source_text", "text"])
    train, test = parts["train"], parts["test"]
    # Of 29,000 sentences.
    assert train.classes == ["en-de", "en-fr"] and train.counts.tolist() == [14_500] * 2
    half = len(train.labels) // 2
    source, text = (train.columns[m].values for m in ("source_text", "text"))
    assert (source[:half] == source[half:]).all() and (text[:half] != text[half:]).mean() > 0.99
    czech = test.columns["text"].values
    assert (czech[: len(czech) // 2] == czech[len(czech) // 2 :]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"test_languages": ["xx"]},
            r"dataset.test_languages=\['xx'\] must be languages, or directions",
        ),
        ({"test_languages": ["en-cs"]}, "must be languages, or directions"),
        ({"test_languages": ["de"]}, "de is in another split too"),
        ({"val_languages": []}, r"dataset.val_languages=\[\] must be"),
    ],
)
def test_wrong_options_are_refused(root, options, message):
    with pytest.raises(UserError, match=message):
        build(root, **options)


def test_a_photograph_is_the_same_in_both_datasets(root):
    """So that a learner that has seen it is not judged on it."""
    section = {
        "name": "flickr8k",
        "root": str(root),
        "sentences": ["captions"],
        "size": 32,
        "split_seed": 0,
    }
    other = datasets.build_section(section | {"val": 0.25, "test": 0.25}, "dataset")
    assert build(root).identity == other.identity
    ours, theirs = (
        {n for part in d.load([]).values() for n in part.kept_apart} for d in (build(root), other)
    )
    assert ours == theirs and len(ours) == 24
