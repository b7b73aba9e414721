"""Readers of Omniglot's archives, from github.com/brendenlake/omniglot (folder ``python``)."""

import hashlib
import io
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from mmml.data.archives import members
from mmml.errors import UserError

CHARACTERS, DRAWERS = 1623, 20
PAPER = 105  # pixels on each side of an image, and units of the strokes

Drawings = dict[str, dict[str, tuple[np.ndarray, str]]]
"""By character (``Greek/character03``) and drawing (``Greek/character03/0394_01``): the image and
its hash.
"""


def drawing_of(path: PurePosixPath) -> str:
    """Return the name of a drawing, such as ``Greek/character03/0394_01``."""
    return "/".join(path.with_suffix("").parts[-3:])


def picture(data: bytes) -> Any:
    """Decode a greyscale image."""
    from PIL import Image

    return Image.open(io.BytesIO(data)).convert("L")


def read_images(archives: Sequence[Path], size: int) -> dict[str, np.ndarray]:
    """Read all drawings as images, sorted by character and drawing.

    Returns:
        ``images`` ``[characters, 20, size, size]``, ink 255; ``names`` of characters
        such as ``Greek/character03``; ``drawings`` ``[characters, 20]``, such as
        ``Greek/character03/0394_01``; ``prints``: a hash of each image.
    """
    from PIL import Image

    found: Drawings = defaultdict(dict)
    for path, data in members(archives, ".png"):
        page = picture(data)
        small = 255 - np.asarray(page.resize((size, size), Image.Resampling.BOX))
        drawing = drawing_of(path)
        found[drawing.rsplit("/", 1)[0]][drawing] = small, fingerprint(np.asarray(page))
    names, counts = sorted(found), {len(d) for d in found.values()}
    if len(names) != CHARACTERS or counts != {DRAWERS}:
        files = ", ".join(p.name for p in archives)
        raise UserError(
            f"dataset.root: {files} hold {len(names)} characters with {min(counts, default=0)} "
            f"or more drawings each, but Omniglot has {CHARACTERS} with {DRAWERS}; get "
            "images_background.zip and images_evaluation.zip"
        )
    drawings = [sorted(found[n]) for n in names]
    ordered = [[found[n][d] for d in several] for n, several in zip(names, drawings, strict=True)]
    images = np.stack([np.stack([image for image, _ in several]) for several in ordered])
    prints = [[fingerprint for _, fingerprint in several] for several in ordered]
    return {
        "images": images,
        "names": np.array(names),
        "drawings": np.array(drawings),
        "prints": np.array(prints),
    }


def fingerprint(image: np.ndarray) -> str:
    """A hash of an image's pixels."""
    return hashlib.sha256(image.tobytes()).hexdigest()[:32]


def read_strokes(archives: Sequence[Path]) -> dict[str, np.ndarray]:
    """Read all drawings as points in drawing order, one drawing after the other.

    Returns:
        ``points`` float32 ``[total, 4]``: x, y (down) in pixels, milliseconds, number
        of the stroke from 0; ``lengths`` ``[drawings]``; ``names`` of the drawings such as
        ``Greek/character03/0394_01``.
    """
    found = {drawing_of(path): points_of(data.decode()) for path, data in members(archives, ".txt")}
    lengths = [len(points) for points in found.values()]
    return {
        "points": np.concatenate(list(found.values())),
        "lengths": np.array(lengths),
        "names": np.array([*found]),
    }


def points_of(text: str) -> np.ndarray:
    """Parse a stroke file: ``START``, lines of ``x,y,milliseconds`` with y up, and ``BREAK`` after
    each stroke.
    """
    points, stroke = [], 0
    for line in text.split():
        if line == "BREAK":
            stroke += 1
        elif line != "START":
            x, y, time = map(float, line.split(","))
            points.append((x, -y, time, stroke))
    return np.array(points, np.float32)


def read_runs(archives: Sequence[Path]) -> dict[str, np.ndarray]:
    """Read the official one-shot runs as ``runs``, ``[runs, classes, 2]``: hashes of the support
    image and of the query image.
    """
    prints = {
        "/".join(p.parts[-3:]): fingerprint(np.asarray(picture(data)))
        for p, data in members(archives, ".png")
    }
    runs: dict[str, list[list[str]]] = {}
    for path, data in members(archives, ".txt"):
        lines = [line.split() for line in data.decode().splitlines() if line.strip()]
        runs[path.parts[-2]] = [[prints[support], prints[query]] for query, support in lines]
    return {"runs": np.array([runs[name] for name in sorted(runs)])}
