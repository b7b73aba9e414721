"""``dataset=glyphs``: the characters of the DejaVu fonts, paired with their Unicode names.

Needs no download: the fonts come with matplotlib. A class is a character that all 12 faces
hold, ``image`` is its drawing in each face, ``strokes`` its outline there, ``text`` its Unicode name. Characters
that look the same (Latin A, Greek Alpha) are one class that keeps all their names.
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

from mmml.datasets import outlines, paths
from mmml.datasets.base import SPLITS, Column, Dataset, Per, Samples, datasets, split_classes
from mmml.datasets.cache import cached_arrays, code_of, key_of
from mmml.datasets.outlines import draw_outlines
from mmml.datasets.values import Ragged, Rows
from mmml.errors import require

SIDE = 32  # pixels on each side
FONT_SIZE = 22
SAME_FACES = 6  # two characters drawn alike in this many faces are one class


@datasets.register("glyphs")
class Glyphs(Dataset):
    """2,155 characters × 12 faces, 32×32, with their outlines and names; splits are disjoint by character.

    A superclass is a script (of what is in several, the first).

    Args:
        split_seed: which characters, or scripts, are held out.
        val, test: the fractions of the characters, or scripts, held out for validation and test.
        split_by: ``character``, or ``script``: whole scripts are held out; a character that looks the same in scripts
            of different splits is left out.
    """

    name = "glyphs"
    modalities: Mapping[str, Per] = {"image": Per.SAMPLE, "text": Per.CLASS, "strokes": Per.SAMPLE}

    def __init__(self, split_seed: int, val: float, test: float, split_by: str = "character"):
        require(split_by in ("character", "script"), "dataset.split_by", split_by, "character or script")
        self.split_seed, self.val, self.test, self.split_by = split_seed, val, test, split_by

    def load(self, modalities: Collection[str] = (), scores: bool = False) -> dict[str, Samples]:
        """Images are uint8 ``[n, 32, 32]``, ink 255 on 0; strokes in pixels; the rows of a class are its faces."""
        fonts = dejavu_faces()
        key = cache_key(fonts)
        arrays = cached_arrays("glyphs", key, lambda: draw_classes(fonts))
        images, names = torch.from_numpy(arrays["images"]), [str(n).split("\n") for n in arrays["names"]]
        drawn = strokes_of([n[0] for n in names], fonts, key) if "strokes" in modalities else None
        found = {}
        for split, part in self._split(names).items():
            rows = np.array(part, np.int64)[:, None] * len(fonts) + np.arange(len(fonts))
            strokes = None if drawn is None else Rows(drawn, rows.ravel())
            found[split] = _samples(images[part], strokes, [names[i] for i in part])
        return found

    def _split(self, names: list[list[str]]) -> dict[str, list[int]]:
        if self.split_by == "character":
            return split_classes([n[0] for n in names], self.split_seed, self.val, self.test)
        of = [{script_of(n) for n in several} for several in names]
        scripts = sorted(set.union(*of))
        held = split_classes(scripts, self.split_seed, self.val, self.test)
        kept = {split: {scripts[s] for s in held[split]} for split in SPLITS}
        return {split: [i for i, own in enumerate(of) if own <= kept[split]] for split in SPLITS}


def script_of(name: str) -> str:
    """The script of the character of a name, such as ``Grek``; ``Zyyy`` is what many scripts share."""
    from fontTools import unicodedata as scripts

    return str(scripts.script(unicodedata.lookup(name)))


def _samples(images: torch.Tensor, strokes: Rows | None, names: list[list[str]]) -> Samples:
    classes, faces = images.shape[:2]
    columns = {"image": Column(Per.SAMPLE, images.flatten(0, 1)), "text": Column.of_texts(names)}
    if strokes is not None:
        columns["strokes"] = Column(Per.SAMPLE, strokes)
    return Samples(
        classes=[n[0] for n in names],
        starts=np.arange(classes + 1) * faces,
        columns=columns,
        superclasses=np.unique([script_of(several[0]) for several in names], return_inverse=True)[1],
    )


def strokes_of(names: list[str], fonts: list[Path], key: dict[str, Any]) -> Ragged:
    """The outlines of all faces of each character, drawn once; ``key`` is that of the drawings."""
    key = {**key, "outlines": code_of(outlines, paths)}
    read = cached_arrays("glyph-strokes", key, lambda: outlines_of(names, fonts))
    shapes = np.column_stack([read["lengths"], np.full(len(read["lengths"]), 4)])
    return Ragged(read["points"].ravel(), shapes, key_of(key))


def outlines_of(names: list[str], fonts: list[Path]) -> dict[str, np.ndarray]:
    """``points`` of all faces of each character, one after the other, and their ``lengths``."""
    characters = [unicodedata.lookup(n) for n in names]
    by_face = [draw_outlines(characters, font, FONT_SIZE, SIDE) for font in fonts]
    drawn = [outline for several in zip(*by_face, strict=True) for outline in several]
    return {"points": np.concatenate(drawn), "lengths": np.array([len(d) for d in drawn])}


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
    images = np.empty((len(characters), SIDE, SIDE), np.uint8)
    for i, character in enumerate(characters):
        canvas = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(canvas).text((SIDE / 2, SIDE / 2), character, 255, font=face, anchor="mm")
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
