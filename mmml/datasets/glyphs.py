"""``dataset=glyphs``: the characters of the DejaVu fonts, paired with their Unicode names.

Needs no download: the fonts come with matplotlib. A class is a character that all 12 faces
hold, ``image`` is its drawing in each face, ``text`` its Unicode name. Characters that look the
same (Latin A, Greek Alpha) are one class that keeps all their names.
"""

import hashlib
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmml.datasets.base import Column, Dataset, Per, Samples, datasets, split_classes
from mmml.datasets.cache import cached_arrays

SIZE = 32  # pixels on each side
FONT_SIZE = 22
SAME_FACES = 6  # two characters drawn alike in this many faces are one class


@datasets.register("glyphs")
class Glyphs(Dataset):
    """2,155 characters × 12 faces, 32×32, with their names; splits are disjoint by character.

    Args:
        split_seed: which characters are held out.
        val, test: the fractions of the characters held out for validation and test.
    """

    name = "glyphs"
    modalities: Mapping[str, Per] = {"image": Per.SAMPLE, "text": Per.CLASS}

    def __init__(self, split_seed: int, val: float, test: float):
        self.split_seed, self.val, self.test = split_seed, val, test

    def load(self, modalities: Collection[str] = (), scores: bool = False) -> dict[str, Samples]:
        """Images are uint8 ``[n, 32, 32]``, ink 255 on 0; the rows of a class are its faces."""
        fonts = dejavu_faces()
        arrays = cached_arrays("glyphs", cache_key(fonts), lambda: draw_classes(fonts))
        images, names = torch.from_numpy(arrays["images"]), [str(n).split("\n") for n in arrays["names"]]
        ids = [n[0] for n in names]
        parts = split_classes(ids, self.split_seed, self.val, self.test)
        return {split: _samples(images[c], [names[i] for i in c]) for split, c in parts.items()}


def _samples(images: torch.Tensor, names: list[list[str]]) -> Samples:
    classes, faces = images.shape[:2]
    texts = np.array([n for several in names for n in several], dtype=object)
    starts = np.cumsum([0, *map(len, names)])
    return Samples(
        classes=[n[0] for n in names],
        starts=np.arange(classes + 1) * faces,
        columns={"image": Column(Per.SAMPLE, images.flatten(0, 1)), "text": Column(Per.CLASS, texts, starts)},
    )


def cache_key(fonts: list[Path]) -> dict[str, Any]:
    """All that the drawings depend on."""
    import PIL
    from PIL import features

    return {
        "code": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        "fonts": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in fonts},
        "pillow": PIL.__version__,
        "freetype": features.version("freetype2"),
        "raqm": features.version("raqm"),
        "unicode": unicodedata.unidata_version,
    }


def dejavu_faces() -> list[Path]:
    """The 12 DejaVu Sans, Sans Mono and Serif faces, in a fixed order."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    upright, slanted = ("", "-Bold"), {"Sans": "Oblique", "SansMono": "Oblique", "Serif": "Italic"}
    return [
        folder / f"DejaVu{family}{style}.ttf"
        for family, slant in slanted.items()
        for style in (*upright, f"-{slant}", f"-Bold{slant}")
    ]


def draw_classes(fonts: list[Path]) -> dict[str, np.ndarray]:
    """``images`` ``[classes, faces, 32, 32]`` and ``names`` ``[classes]``, newline between names."""
    characters = shared_characters(fonts)
    drawings = np.stack([draw(characters, font) for font in fonts], axis=1)
    visible = np.flatnonzero(drawings.max(axis=(2, 3)).min(axis=1))
    characters, drawings = [characters[i] for i in visible], drawings[visible]
    groups = merge_lookalikes(drawings)
    names = np.array(["\n".join(unicodedata.name(characters[i]) for i in g) for g in groups])
    return {"images": drawings[[g[0] for g in groups]], "names": names}


def shared_characters(fonts: list[Path]) -> list[str]:
    """Letters, symbols, numbers and punctuation with a name that every font holds."""
    from fontTools.ttLib import TTFont

    codes = []
    for path in fonts:
        with TTFont(path, lazy=True) as font:
            codes.append(set(font.getBestCmap()))
    shared = set.intersection(*codes)
    named = [c for c in map(chr, sorted(shared)) if unicodedata.name(c, None)]
    return [c for c in named if unicodedata.category(c)[0] in "LSNP"]


def draw(characters: list[str], font: Path) -> np.ndarray:
    """Each character at size 22, centred on 32×32: ``[characters, 32, 32]`` uint8."""
    from PIL import Image, ImageDraw, ImageFont

    face = ImageFont.truetype(str(font), FONT_SIZE)
    images = np.empty((len(characters), SIZE, SIZE), np.uint8)
    for i, character in enumerate(characters):
        canvas = Image.new("L", (SIZE, SIZE))
        ImageDraw.Draw(canvas).text((SIZE / 2, SIZE / 2), character, 255, font=face, anchor="mm")
        images[i] = np.asarray(canvas)
    return images


def merge_lookalikes(drawings: np.ndarray) -> list[list[int]]:
    """Groups of characters (transitively) drawn alike in ``SAME_FACES`` faces or more."""
    alike: dict[tuple[int, int], int] = defaultdict(int)
    for face in range(drawings.shape[1]):
        by_drawing = defaultdict(list)
        for i in range(len(drawings)):
            by_drawing[drawings[i, face].tobytes()].append(i)
        for same in by_drawing.values():
            for pair in combinations(same, 2):
                alike[pair] += 1
    group = list(range(len(drawings)))
    for (a, b), faces in sorted(alike.items()):
        if faces >= SAME_FACES:
            keep, drop = sorted((group[a], group[b]))
            group = [keep if g == drop else g for g in group]
    members = defaultdict(list)
    for i, g in enumerate(group):
        members[g].append(i)
    return list(members.values())
