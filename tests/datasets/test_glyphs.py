import numpy as np
import torch

from mmml.datasets.glyphs import cache_key, dejavu_faces, draw, merge_lookalikes, shared_characters


def test_sizes(glyphs):
    classes = {split: len(s.classes) for split, s in glyphs.items()}
    assert 2100 < sum(classes.values()) < 2200
    assert classes["val"] == classes["test"] == round(0.15 * sum(classes.values()))
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
    images = torch.cat([s.columns["image"].values.view(-1, 12, 1024) for s in glyphs.values()]).numpy()
    for a in range(0, len(images), 97):
        same = (images[a] == images).all(-1).sum(-1)
        same[a] = 0
        assert same.max() < 6


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
