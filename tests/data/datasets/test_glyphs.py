import numpy as np
import torch

from mmml.data.datasets.glyphs import (
    Glyphs,
    cache_key,
    classes_of,
    dejavu_faces,
    draw,
    merge_lookalikes,
    shared_characters,
    tells_faces_apart,
)
from mmml.data.duplicates import identical
from mmml.episodes import EpisodeShape, Sampler


def test_sizes(glyphs):
    classes = {split: len(s.classes) for split, s in glyphs.items()}
    assert 1800 < sum(classes.values()) < 2000
    # Characters that share a drawing stay together.
    assert abs(classes["val"] - 0.15 * sum(classes.values())) < 5
    assert abs(classes["test"] - 0.15 * sum(classes.values())) < 5
    for samples in glyphs.values():
        image = samples.columns["image"].values
        assert image.dtype == torch.uint8
        assert image.shape == (12 * len(samples.classes), 32, 32)
        assert (samples.counts == 12).all()
        assert image.flatten(1).amax(1).min() > 0  # nothing is blank


def test_classes_are_disjoint(glyphs):
    names = [set(s.columns["text"].values) for s in glyphs.values()]
    assert not names[0] & names[1] and not names[0] & names[2] and not names[1] & names[2]


def test_lookalikes_keep_all_their_names(glyphs):
    by_class = {}
    for samples in glyphs.values():
        texts = samples.columns["text"]
        for c, name in enumerate(samples.classes):
            by_class[name] = list(texts.values[texts.starts[c] : texts.starts[c + 1]])
    latin_a = by_class["LATIN CAPITAL LETTER A"]
    assert latin_a[:2] == ["LATIN CAPITAL LETTER A", "GREEK CAPITAL LETTER ALPHA"]
    assert "GREEK SMALL LETTER ALPHA WITH PSILI" in by_class


def test_no_drawing_is_shared_between_classes_in_most_faces(glyphs):
    images = torch.cat(
        [s.columns["image"].values.view(-1, 12, 1024) for s in glyphs.values()]
    ).numpy()
    for a in range(0, len(images), 97):
        same = (images[a] == images).all(-1).sum(-1)
        same[a] = 0
        assert same.max() < 6


def test_equal_drawings_are_duplicates_and_no_split_shares_one(glyphs):
    prints = {
        split: [image.numpy().tobytes() for image in s.columns["image"].values]
        for split, s in glyphs.items()
    }
    for split, samples in glyphs.items():
        by_pixels = identical(samples.columns["image"].values)
        for number in np.flatnonzero(np.bincount(by_pixels) > 1):
            assert len(set(samples.duplicates[by_pixels == number].tolist())) == 1
        assert not any(
            set(prints[split]) & set(prints[other]) for other in prints if other != split
        )


def test_outlines_that_are_moved_within_a_pixel_are_duplicates_too(glyphs):
    """The plus sign of the serif face is the same in its italic one, but drawn half
    a pixel beside it.
    """
    samples = glyphs["train"]
    first = samples.starts[samples.classes.index("PLUS SIGN")]
    upright, italic = first + 8, first + 10
    images = samples.columns["image"].values
    assert not torch.equal(images[upright], images[italic])
    assert samples.duplicates[upright] == samples.duplicates[italic]


def test_no_query_of_the_panel_is_a_support_image(glyphs):
    samples = glyphs["test"]
    images = samples.columns["image"].values
    for shape in (EpisodeShape(5, 1, 5), EpisodeShape(20, 5, 5)):
        sampler = Sampler(samples, 0, "test")
        sampler.check(shape, "episode.eval")
        drawn = sampler.draw(range(40), shape)
        for support, query in zip(drawn.support, drawn.query, strict=True):
            shown = {images[i].numpy().tobytes() for i in support.ravel()}
            assert not any(images[i].numpy().tobytes() in shown for i in query.ravel())


def test_characters_whose_faces_are_too_alike_are_left_out(glyphs):
    known = {name for s in glyphs.values() for name in s.columns["text"].values}
    assert "BOX DRAWINGS LIGHT HORIZONTAL" not in known and "FULL BLOCK" not in known
    assert "LATIN SMALL LETTER A" in known and "MEDIUM SHADE" in known
    assert tells_faces_apart(np.array([0] * 6 + [1] * 6)) and tells_faces_apart(
        np.array([0] * 7 + [1] * 5)
    )
    assert tells_faces_apart(np.array([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3]))
    assert not tells_faces_apart(np.array([0] * 8 + [1] * 4)) and not tells_faces_apart(
        np.zeros(12, int)
    )
    assert not tells_faces_apart(np.array([0] * 4 + [1] * 4 + [2] * 4))


def test_classes_that_share_a_drawing_are_linked():
    alike = np.array([[0, 1, 2], [3, 4, 2], [5, 6, 7], [8, 4, 9]])
    assert classes_of(alike).tolist() == [0, 0, 1, 0]


def test_scripts_that_share_a_drawing_are_held_out_together_or_the_characters_left_out():
    splits = Glyphs(0, 0.15, 0.15, "script").load()
    prints = [
        {image.numpy().tobytes() for image in s.columns["image"].values} for s in splits.values()
    ]
    assert all(len(p) > 100 for p in prints)
    assert not prints[0] & prints[1] and not prints[0] & prints[2] and not prints[1] & prints[2]


def test_merging_is_transitive_and_counts_faces():
    drawings = np.zeros((4, 12, 1, 1), np.uint8)
    drawings[0], drawings[1], drawings[2], drawings[3] = 1, 1, 2, 3
    drawings[2, :6] = 1  # alike in six faces: merged
    drawings[3, :5] = 2  # alike in five, of which none with 2 (its first six are 1)
    assert merge_lookalikes(drawings) == [[0, 1, 2], [3]]


def test_twelve_faces_all_hold_the_characters():
    faces = dejavu_faces()
    assert len({f.name for f in faces}) == 12
    assert all(f.is_file() for f in faces)
    characters = shared_characters(faces[:2])
    assert "A" in characters and " " not in characters


def test_drawings_are_centred():
    (drawing,) = draw(["+"], dejavu_faces()[0]).astype(float)
    columns = np.flatnonzero(drawing.sum(0))
    assert abs((columns[0] + columns[-1]) / 2 - 15.5) <= 1


def test_the_cache_key_holds_the_fonts_and_the_libraries(tmp_path, monkeypatch):
    font = tmp_path / "a.ttf"
    font.write_bytes(b"one")
    before = cache_key([font])
    assert {"code", "fonts", "pillow", "freetype", "unicode"} <= set(before)
    font.write_bytes(b"two")
    assert cache_key([font]) != before
    monkeypatch.setattr("PIL.__version__", "0")
    assert cache_key([font])["pillow"] == "0"
