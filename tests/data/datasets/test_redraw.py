import numpy as np

from mmml.data.datasets.omniglot.redraw import draw, enlarge, invented, jittered, paths_of

LINE = np.array([[10, 50, 0, 0], [90, 50, 9, 0]], np.float32)
CROSS = np.concatenate([LINE, [[50, 10, 20, 1], [50, 90, 30, 1], [50, 90, 31, 1]]]).astype(np.float32)


def test_a_drawing_is_cut_into_strokes_of_evenly_spaced_points():
    line, other = paths_of(CROSS)
    assert line.shape == other.shape == (32, 2)
    assert np.allclose(np.diff(line[:, 0]), 80 / 31) and (line[:, 1] == 50).all()
    assert np.allclose(other[[0, -1]], [[50, 10], [50, 90]])


def test_ink_is_as_wide_as_omniglots():
    page = draw(paths_of(LINE), 105)
    assert page.dtype == np.uint8 and set(np.unique(page)) == {0, 255}
    assert (page[:, 50] > 0).nonzero()[0].tolist() == [48, 49, 50, 51, 52]
    assert (page[50] > 0).nonzero()[0].tolist() == list(range(8, 93))
    small = draw(paths_of(LINE), 35)
    assert small.shape == (35, 35) and 0 < small[16:18, 17].sum() < 2 * 255 + 1


def test_what_leaves_the_paper_is_lost():
    assert draw([path + 200 for path in paths_of(LINE)], 28).max() == 0


def test_another_drawing_keeps_the_strokes_and_moves_them_a_little():
    paths = paths_of(CROSS)
    once, again, other = (jittered(paths, np.random.default_rng(seed)) for seed in (0, 0, 1))
    assert [p.shape for p in once] == [(32, 2)] * 2
    assert np.array_equal(once, again) and not np.allclose(once, other)
    assert all(0.5 < np.abs(np.array(drawing) - np.array(paths)).mean() < 15 for drawing in (once, other))


def test_new_characters_are_made_of_known_strokes():
    known = [[paths_of(CROSS)], [paths_of(LINE)]]
    counts = [len(invented(known, np.random.default_rng(i))) for i in range(200)]
    assert set(counts) == {1, 2, 3}


def test_enlarging_draws_each_character_and_new_ones_deterministically():
    drawings = [[CROSS, CROSS], [LINE, LINE], [LINE, CROSS]]
    made, again = (enlarge(drawings, more=3, characters=4, size=16, seed=0) for _ in range(2))
    assert made["redrawn"].shape == (3, 3, 16, 16) and made["invented"].shape == (4, 5, 16, 16)
    assert all(np.array_equal(made[k], again[k]) for k in made)
    other = enlarge(drawings, more=3, characters=4, size=16, seed=1)
    assert not np.array_equal(made["invented"], other["invented"])
    assert (made["redrawn"].max(axis=(2, 3)) > 0).all()
    none = enlarge(drawings, more=0, characters=0, size=16, seed=0)
    assert none["redrawn"].shape == (3, 0, 16, 16) and none["invented"].shape == (0, 2, 16, 16)
