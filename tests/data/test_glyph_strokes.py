import numpy as np
import pytest

from mmml.data.base import datasets
from mmml.data.datasets.glyphs import FONT_SIZE, SIDE, dejavu_faces, draw, script_of
from mmml.data.duplicates import identical
from mmml.data.glyph_strokes import as_strokes, contours_of, draw_outlines, quadratic
from mmml.errors import UserError


def test_a_square_is_followed_at_an_even_pace_and_closed():
    pen = [
        ("moveTo", ((0, 0),)),
        ("lineTo", ((4, 0),)),
        ("lineTo", ((4, 4),)),
        ("lineTo", ((0, 4),)),
        ("closePath", ()),
    ]
    (square,) = contours_of(pen)
    assert square.tolist() == [[0, 0], [4, 0], [4, 4], [0, 4], [0, 0]]
    points = as_strokes([square])
    assert points.dtype == np.float32 and points.shape == (16, 4)
    assert points[0, :2].tolist() == points[-1, :2].tolist() == [0, 0]
    assert np.allclose(np.diff(points[:, 2]), 16 / 15) and points[-1, 2] == 16


def test_a_curve_passes_half_way_between_its_control_points():
    drawn = np.array(
        quadratic(np.array([0.0, 0.0]), [np.array(p, float) for p in ((1, 1), (3, 1), (4, 0))])
    )
    assert len(drawn) == 16 and drawn[7].tolist() == [2, 1] and drawn[-1].tolist() == [4, 0]
    # ¼, ½, ¼ of its three points.
    assert (drawn[:, 1] <= 1).all() and np.allclose(drawn[3], [1, 0.75])


def test_a_contour_of_control_points_alone_is_closed():
    (round_one,) = contours_of(
        [("qCurveTo", ((1, 1), (1, -1), (-1, -1), (-1, 1), None)), ("closePath", ())]
    )
    radius = np.hypot(*round_one.T)
    assert (
        radius.min() > 0.95
        and radius.max() < 1.1
        and round_one[0].tolist() == round_one[-1].tolist() == [0, 1]
    )


def test_outlines_lie_where_the_ink_of_the_drawing_begins():
    face = dejavu_faces()[0]
    characters = ["A", "g", "€", "∞"]
    for outline, image in zip(
        draw_outlines(characters, face, FONT_SIZE, SIDE), draw(characters, face), strict=True
    ):
        x, y = outline[:, :2].T
        inside = np.argwhere(image > 127)
        low, high = inside.min(0), inside.max(0) + 1
        assert abs(y.min() - low[0]) < 1.5 and abs(y.max() - high[0]) < 1.5
        assert abs(x.min() - low[1]) < 1.5 and abs(x.max() - high[1]) < 1.5
    eight = draw_outlines(["8"], face, FONT_SIZE, SIDE)[0]
    assert set(eight[:, 3].tolist()) == {0, 1, 2}  # around it, and its two holes


@pytest.fixture(scope="module")
def by_script():
    section = {"name": "glyphs", "split_seed": 0, "val": 0.15, "test": 0.15, "split_by": "script"}
    return datasets.build_section(section, "dataset").load(["image", "strokes", "text"])


def test_whole_scripts_are_held_out(by_script):
    scripts = {s: {script_of(n) for n in p.columns["text"].values} for s, p in by_script.items()}
    assert scripts == {"train": {"Armn", "Cyrl", "Geor", "Zyyy"}, "val": {"Grek"}, "test": {"Latn"}}
    assert {s: len(p.classes) for s, p in by_script.items()} == {
        "train": 716,
        "val": 270,
        "test": 754,
    }


def test_strokes_are_those_of_the_face_of_the_row(by_script):
    test = by_script["test"]
    strokes, images = test.columns["strokes"].values, test.columns["image"].values
    assert len(strokes) == len(images) == 12 * len(test.classes)
    rows = np.arange(0, len(images), 7)
    for outline, image in zip(strokes[rows], images[rows].numpy(), strict=True):
        low, high = np.argwhere(image > 0).min(0), np.argwhere(image > 0).max(0) + 1
        assert (np.abs(outline[:, 1::-1].min(0) - low) < 2.5).all()
        assert (np.abs(outline[:, 1::-1].max(0) - high) < 2.5).all()


def test_equal_outlines_are_duplicates(by_script):
    for samples in by_script.values():
        by_outline = identical(samples.columns["strokes"].values)
        for number in np.flatnonzero(np.bincount(by_outline) > 1):
            assert len(set(samples.duplicates[by_outline == number].tolist())) == 1


def test_another_way_to_split_is_refused():
    with pytest.raises(UserError, match="dataset.split_by=font must be character or script"):
        datasets.build_section(
            {"name": "glyphs", "split_seed": 0, "val": 0.1, "test": 0.1, "split_by": "font"},
            "dataset",
        )
