"""The outline of a glyph as pen strokes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

PIECES = 8  # straight lines that replace a curve
SHARES = np.linspace(0, 1, PIECES + 1)[1:]
BERNSTEIN = np.stack([(1 - SHARES) ** 2, 2 * SHARES * (1 - SHARES), SHARES**2], axis=1)
STEP = 1.0  # pixels from one point to the next


def draw_outlines(
    characters: Sequence[str], font: Path, size: float, side: int
) -> list[np.ndarray]:
    """Return the outline of each character, float32 ``[points, 4]``: x and y (down) in pixels, the
    length drawn so far, and the number of the contour.

    Args:
        characters: of the font.
        font: a TrueType file.
        size: of the font, in pixels.
        side: of the square image, in pixels; characters are centred by the font's metrics.
    """
    from fontTools.pens.recordingPen import DecomposingRecordingPen
    from fontTools.ttLib import TTFont

    with TTFont(font) as face:
        glyphs = face.getGlyphSet()
        names = face.getBestCmap()
        scale = size / face["head"].unitsPerEm
        middle = (face["hhea"].ascent + face["hhea"].descent) / 2
        found = []
        for character in characters:
            glyph, pen = glyphs[names[ord(character)]], DecomposingRecordingPen(glyphs)
            glyph.draw(pen)
            contours = [c - (glyph.width / 2, middle) for c in contours_of(pen.value)]
            found.append(as_strokes([side / 2 + c * (scale, -scale) for c in contours]))
    return found


def contours_of(drawn: Sequence[tuple[str, Any]]) -> list[np.ndarray]:
    """Return the closed polygons ``[points, 2]`` of the commands that a pen recorded."""
    contours: list[list[np.ndarray]] = []
    for command, points in drawn:
        if command == "moveTo":
            contours.append([np.array(points[0], float)])
        elif command == "lineTo":
            contours[-1].append(np.array(points[0], float))
        elif command == "qCurveTo":
            controls, end = points[:-1], points[-1]
            if end is None:  # a contour without a point on it
                end = halfway(controls[-1], controls[0])
                contours.append([np.array(end, float)])
            contours[-1] += quadratic(
                contours[-1][-1], [np.array(p, float) for p in (*controls, end)]
            )
        elif command == "closePath":
            contours[-1].append(contours[-1][0])
    return [np.array(c) for c in contours]


def halfway(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """The midpoint of two points."""
    return (a[0] + b[0]) / 2, (a[1] + b[1]) / 2


def quadratic(start: np.ndarray, points: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return points on a TrueType quadratic spline: the midpoint of two neighbouring control points
    lies on the curve.
    """
    controls = np.array(points[:-1])
    on = np.concatenate([[start], (controls[1:] + controls[:-1]) / 2, [points[-1]]])
    return list((BERNSTEIN @ np.stack([on[:-1], controls, on[1:]], axis=1)).reshape(-1, 2))


def as_strokes(contours: Sequence[np.ndarray]) -> np.ndarray:
    """Return evenly spaced points along each contour, ``[points, 4]``."""
    parts, drawn = [np.zeros((0, 4))], 0.0
    for number, contour in enumerate(contours):
        along = lengths(contour)
        if along[-1] == 0:
            continue
        distances = np.linspace(0, along[-1], max(4, round(along[-1] / STEP)))
        parts.append(
            np.column_stack(
                [at(contour, along, distances), drawn + distances, np.full(len(distances), number)]
            )
        )
        drawn += along[-1]
    return np.concatenate(parts).astype(np.float32)


def lengths(path: np.ndarray) -> np.ndarray:
    """The length of the path up to each of its points, ``[points]``."""
    return np.append(0, np.hypot(*np.diff(path, axis=0).T).cumsum())


def at(path: np.ndarray, drawn: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the points of a path at some distances from its start, by linear interpolation.

    Args:
        path: ``[points, 2]``.
        drawn: the distance of each of its points from the start, in any unit, ``[points]``.
        distances: in the same unit, ``[n]``.

    Returns:
        ``[n, 2]``.
    """
    return np.stack([np.interp(distances, drawn, path[:, axis]) for axis in (0, 1)], axis=1)
