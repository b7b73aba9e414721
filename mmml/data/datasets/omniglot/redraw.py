"""Characters drawn anew from their pen strokes, and new characters composed of known strokes.

A simple relative of Lake et al. (2015): a character is a few strokes, each a path with a place of its own;
another drawing of it moves, turns, scales and bends each stroke a little, and all of them together.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from mmml.data.datasets.omniglot.archives import PAPER
from mmml.data.paths import at, lengths

Arrays = dict[str, np.ndarray]

POINTS = 32  # of each stroke, evenly spaced along it
PEN = np.hypot(*np.mgrid[-2:3, -2:3]) < 2.5  # pixels of ink around the pen, as in Omniglot's own images
WAVES = 3  # of the sines that bend a stroke


def paths_of(points: np.ndarray) -> list[np.ndarray]:
    """The strokes of a drawing ``[points, 4]``, each ``[POINTS, 2]`` (x, y), evenly spaced along its ink."""
    ends = np.flatnonzero(np.diff(points[:, 3])) + 1
    return [_even(stroke) for stroke in np.split(points[:, :2].astype(np.float64), ends)]


def _even(stroke: np.ndarray) -> np.ndarray:
    along = lengths(stroke) + np.arange(len(stroke)) * 1e-9  # where the pen rests
    return at(stroke, along, np.linspace(0, along[-1], POINTS))


def jittered(paths: Sequence[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """Another drawing of the same character, which differs about as much as those of people.

    Strokes move by 3 pixels, turn by 5 degrees, scale by 8 %, and bend by 1 pixel, as standard deviations; the whole
    turns by 5 degrees and scales by 10 %.

    Args:
        paths: of its strokes.
        rng: of this drawing.
    """
    moved = [_moved(_bent(p, rng), rng, 0.08, 0.08, 3) for p in paths]
    whole = np.concatenate(moved)
    return np.split(_moved(whole, rng, 0.10, 0.09, 3), len(moved))


def _bent(path: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A few slow sines along the stroke, the slower the larger."""
    waves = np.arange(1, WAVES + 1)[:, None]
    shape = np.sin(np.pi * waves * np.linspace(0, 1, len(path)) + rng.uniform(0, 2 * np.pi, (WAVES, 1)))
    strength = rng.normal(size=(2, WAVES)) * 1.5 / waves[:, 0]
    return path + (strength @ shape).T


def _moved(path: np.ndarray, rng: np.random.Generator, scale: float, turn: float, shift: float) -> np.ndarray:
    """Scaled along both axes, turned (radians) and shifted (pixels) about its centre, by random amounts."""
    centre, angle = path.mean(0), rng.normal() * turn
    (cos, sin), (x, y) = (np.cos(angle), np.sin(angle)), np.exp(rng.normal(size=2) * scale)
    return (path - centre) @ np.array([[cos * x, sin * x], [-sin * y, cos * y]]) + centre + rng.normal(size=2) * shift


def draw(paths: Sequence[np.ndarray], size: int) -> np.ndarray:
    """Ink 255 on paper 0, uint8 ``[size, size]``; what lies outside of the paper is lost."""
    edge = len(PEN) // 2
    page = np.zeros((PAPER + 2 * edge,) * 2, np.uint8)
    for path in paths:
        along = np.append(0, np.abs(np.diff(path, axis=0)).max(1).cumsum())
        x, y = at(path, along, np.append(np.arange(0, along[-1], 0.5), along[-1])).round().astype(int).T
        on = (x >= 0) & (x < PAPER) & (y >= 0) & (y < PAPER)
        down, right = np.nonzero(PEN)
        page[y[on, None] + down, x[on, None] + right] = 255
    page = page[edge:-edge, edge:-edge]
    return np.asarray(Image.fromarray(page).resize((size, size), Image.Resampling.BOX))


def invented(characters: Sequence[Sequence[list[np.ndarray]]], rng: np.random.Generator) -> list[np.ndarray]:
    """The strokes of a character that nobody has drawn: half the time a known one with a stroke replaced, left
    out or added, else one composed of strokes of several, each at the place where it stood.

    Args:
        characters: of each, the strokes of every drawing.
        rng: of this character.
    """

    def some_drawing() -> list[np.ndarray]:
        drawings = characters[int(rng.integers(len(characters)))]
        return drawings[int(rng.integers(len(drawings)))]

    def some_stroke() -> np.ndarray:
        strokes = some_drawing()
        return strokes[int(rng.integers(len(strokes)))] + rng.normal(size=2) * 6

    if rng.random() < 0.5:
        return [some_stroke() for _ in range(len(some_drawing()))]
    strokes = list(some_drawing())
    place = int(rng.integers(len(strokes)))
    change = rng.integers(3)
    if change == 0 and len(strokes) > 1:
        del strokes[place]
    elif change == 1:
        strokes[place] = some_stroke()
    else:
        strokes.append(some_stroke())
    return strokes


def enlarge(drawings: Sequence[Sequence[np.ndarray]], more: int, characters: int, size: int, seed: int) -> Arrays:
    """What training characters give beyond their own drawings.

    Args:
        drawings: the points of every drawing of each character.
        more: further drawings of each character, and of each new one beyond as many as the known ones have.
        characters: to be invented.
        size: pixels on each side.
        seed: of all that is random.

    Returns:
        ``redrawn`` ``[known, more, size, size]`` and ``invented`` ``[characters, drawings + more, size, size]``.
    """
    known = [[paths_of(points) for points in several] for several in drawings]

    def page(strokes: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
        return draw(jittered(strokes, rng), size)

    redrawn, made = [], []
    for i, own in enumerate(known):
        rng = np.random.default_rng([seed, i, 0])
        redrawn.append([page(own[k % len(own)], rng) for k in range(more)])
    each = len(drawings[0]) + more
    for i in range(characters):
        rng = np.random.default_rng([seed, i, 1])
        strokes = invented(known, rng)
        made.append([page(strokes, rng) for _ in range(each)])
    return {
        "redrawn": np.array(redrawn, np.uint8).reshape(len(known), more, size, size),
        "invented": np.array(made, np.uint8).reshape(characters, each, size, size),
    }
