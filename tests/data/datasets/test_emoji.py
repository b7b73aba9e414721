import numpy as np
import pytest
import torch

from mmml.data.base import datasets
from mmml.data.datasets.emoji import ARTWORKS, character, in_turn, of_artworks, of_both
from mmml.errors import UserError

EVERY = ("train", "val", "test")


@pytest.fixture
def root(emoji_root):
    return emoji_root


def build(root, **options):
    section = {
        "name": "emoji",
        "root": root and str(root),
        "samples": "artworks",
        "languages": ["en"],
    }
    section |= {"keywords": False, "size": 16, "split_seed": 0, "val": 0.2, "test": 0.2}
    return datasets.build_section(section | options, "dataset")


def test_a_class_has_a_drawing_in_each_artwork_and_its_name(root):
    parts = build(root).load(["image", "text"])
    assert [len(parts[s].classes) for s in EVERY] == [20, 6, 6]
    train = parts["train"]
    images, text = train.columns["image"].values, train.columns["text"]
    assert images[:8].shape == (8, 3, 16, 16) and len(images) == 80 and (train.counts == 4).all()
    assert train.domains.tolist()[:5] == [*ARTWORKS, "blob"]
    assert text.per_class and len(text.values) == 20
    names = dict(
        zip(
            [c for s in EVERY for c in parts[s].classes],
            [t for s in EVERY for t in parts[s].columns["text"].values],
            strict=True,
        )
    )
    assert names["taco (1f32e)"] == "taco" and names["keycap: 1 (0031-fe0f-20e3)"] == "keycap: 1"
    assert character("1f347") == "🍇" and character("0023-fe0f-20e3") == "#️⃣"


def test_drawings_of_a_class_show_the_same(root):
    """In colour: another artwork's drawing of an emoji is nearer, on average,
    than those of others.
    """
    train = build(root).load(["image"])["train"]
    pixels = train.columns["image"].values[:].float().flatten(1)
    distances = (pixels[:, None] - pixels).abs().mean(-1)
    same = train.labels[:, None] == train.labels
    assert distances[same & ~np.eye(80, dtype=bool)].mean() < distances[~same].mean()


def test_superclasses_are_unicodes_groups(root):
    train = build(root).load([])["train"]
    of = dict(zip(train.classes, train.superclasses.tolist(), strict=True))
    food = [of[c] for c in of if "(1f32" in c or "(1f34" in c]
    assert len(set(of.values())) == 4 and len(set(food)) == 1 and len(food) > 1


def test_names_are_samples_of_their_language(root):
    parts = build(root, samples="names", languages=["en", "de"]).load(["text"])
    full, train = build(root).load([]), parts["train"]
    assert train.classes == full["train"].classes
    assert not train.columns["text"].per_class and (train.counts == 2).all()
    names = {
        (d, t)
        for s in EVERY
        for d, t in zip(parts[s].domains, parts[s].columns["text"].values, strict=True)
    }
    assert {("en", "tulip"), ("de", "Tulpe")} <= names
    left_out = {c for s in EVERY[1:] for c in set(full[s].classes) - set(parts[s].classes)}
    assert any(c.startswith("taco") for c in {*left_out, *train.classes})  # in German Taco
    for split in EVERY[1:]:
        texts = [t.casefold() for t in parts[split].columns["text"].values]
        assert all(a != b for a, b in zip(texts[::2], texts[1::2], strict=True))


def test_drawings_and_names_together_are_samples_of_a_language(root):
    parts = build(root, samples="both", languages=["en", "de"]).load(["image", "text"])
    train, drawn = parts["train"], build(root).load(["image"])["train"]
    assert (train.counts == 2).all() and train.domains.tolist()[:2] == ["en", "de"]
    texts, images = train.columns["text"].values, train.columns["image"].values
    message = dict(
        zip(zip(train.labels.tolist(), train.domains.tolist(), strict=True), texts[:], strict=True)
    )
    english = [message[c, "en"] for c in range(len(train.classes))]
    assert english == list(drawn.columns["text"].values)
    for c in range(3):  # the artworks take turns
        mine = images[np.arange(2 * c, 2 * c + 2)]
        all_four = drawn.columns["image"].values[np.arange(4 * c, 4 * c + 4)]
        assert (mine == all_four[(c + np.arange(2)) % 4]).all()
    assert len(set(train.groups.tolist())) == len(images)
    names = build(root, samples="names", languages=["en", "de"]).load(["text"])
    assert [parts[s].classes for s in EVERY] == [names[s].classes for s in EVERY]


def test_a_drawing_that_returns_is_in_a_group():
    """More languages than artworks: the first artwork's turn comes again."""
    groups = of_both(["a", "b"], [[], []], [0, 5], None, ["en", "de", "fr", "es", "it"]).groups
    assert groups.tolist() == [0, 1, 2, 3, 0, 21, 22, 23, 20, 21]


def test_drawings_that_look_alike_never_stand_on_both_sides():
    """Of five languages and four artworks, two samples share a drawing; blob and noto may
    draw one alike besides.
    """
    images = torch.arange(8).view(8, 1, 1, 1).expand(8, 3, 4, 4).clone()
    images[1] = images[0]
    samples = of_both(["a", "b"], [[], []], [0, 1], images, ["en", "de", "fr", "es", "it"])
    a, b = samples.duplicates[:5], samples.duplicates[5:]
    assert len(set(a)) == 3 and len(set(b)) == 4 and not set(a) & set(b)
    assert samples.groups.tolist() == samples.duplicates.tolist()


def test_a_name_that_is_not_known_in_a_language_is_missing():
    samples = of_both(
        ["a", "b"], [[("en", "cat"), ("en", "pet")], [("de", "Hund")]], [0, 1], None, ["en", "de"]
    )
    texts = samples.columns["text"]
    assert texts.mask.tolist() == [True, False, False, True] and texts.present[:].tolist() == [
        "cat",
        "Hund",
    ]


def test_keywords_and_languages_are_more_names(root):
    plain = build(root).load([])["train"].columns["text"]
    more = build(root, languages=["de", "en"], keywords=True).load([])["train"].columns["text"]
    assert len(more.values) > 4 * len(plain.values)
    assert set(plain.values) < set(more.values)
    held = [
        build(root, keywords=k).load([])["test"].columns["text"].values.tolist()
        for k in (True, False)
    ]
    assert held[0] == held[1]  # which are names alone


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"languages": ["eng"]},
            "dataset.languages: eng is none of de, en, es, fr; did you mean 'en'?",
        ),
        ({"languages": []}, "dataset.languages=[] must be a list of languages"),
        ({"samples": "drawings"}, "dataset.samples=drawings must be one of artworks, names, both"),
        ({"size": 500}, "dataset.size=500 must be from 8 to 112 pixels"),
    ],
)
def test_mistakes_are_told(root, options, message):
    with pytest.raises(UserError) as error:
        build(root, **options).load(["text"])
    assert message in str(error.value)


def test_what_is_missing_is_told(tmp_path):
    (tmp_path / "emoji").mkdir()
    with pytest.raises(
        UserError, match=r"has no blob\.zip: put there blob\.zip, .* blob .*RealityRipple/emoji"
    ):
        build(tmp_path).load([])


def test_drawings_that_are_the_same_in_two_artworks_are_duplicates():
    images = torch.arange(8).view(8, 1, 1, 1).expand(8, 3, 2, 2).clone()
    images[5] = images[4]  # the second emoji, as blob and as noto
    expected = [[("en", "taco")], [("en", "pear")]]
    samples = of_artworks(["taco", "pear"], expected, [0, 1], images)
    assert samples.duplicates.tolist() == [0, 1, 2, 3, 4, 4, 5, 6]
    assert of_artworks(["taco"], expected[:1], [0], images).duplicates is None


def test_languages_take_turns_with_drawings_that_differ():
    looks = np.array([0, 1, 2, 3, 4, 4, 5, 6])
    assert in_turn(0, 1, 2, looks) == [1, 2] and in_turn(0, 3, 5, looks) == [3, 0, 1, 2, 3]
    assert in_turn(1, 0, 2, looks) == [4, 6] and in_turn(1, 1, 4, looks) == [5, 6, 7, 4]


def test_the_real_artworks_share_some_drawings(real_data):
    parts = build(real_data, size=64, val=0.15, test=0.25).load(["image"])
    shared = [np.bincount(p.duplicates).tolist().count(2) for p in parts.values()]
    assert sum(shared) == 15 and parts["test"].duplicates is not None
    both = build(real_data, samples="both", languages=["en", "de"], size=64).load(
        ["image", "text"]
    )["test"]
    images = both.columns["image"].values[:]
    for first in both.starts[:-1]:
        assert not torch.equal(images[first], images[first + 1])
