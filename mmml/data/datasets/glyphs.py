"""``dataset=glyphs``: the characters of the DejaVu fonts, paired with their Unicode names.

Needs no download: the fonts come with matplotlib. A class is a character that all 12 faces contain,
``image`` is its drawing in each face, ``strokes`` its outline there, ``text`` its Unicode name.
Characters that look the same (Latin A, Greek Alpha) are one class with all their names.

Many faces draw a character alike: an arrow is the same in upright and oblique faces. Such drawings
are duplicates, which never occur in both the support set and the queries of an episode. Characters
that are drawn alike in nearly all faces are left out.
"""

import hashlib
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmml.data import duplicates, glyph_strokes
from mmml.data.base import SPLITS, Dataset, Granularity, Samples, datasets, split_classes
from mmml.data.cache import cached_arrays, code_of, key_of
from mmml.data.column import Column
from mmml.data.duplicates import identical, if_any, linked
from mmml.data.glyph_strokes import draw_outlines
from mmml.data.values import Ragged, Subset
from mmml.errors import require

SIDE = 32  # pixels on each side
FONT_SIZE = 22
SAME_FACES = 6  # two characters drawn alike in this many faces are one class
UNLIKE = 5  # a character is left out unless two sets of this many faces draw it differently


@datasets.register("glyphs")
class Glyphs(Dataset):
    """1,873 characters × 12 faces, 32×32 pixels, with their outlines and names; splits are disjoint
    by character.

    A superclass is a script (the first one, if a class belongs to several). Characters that share a
    drawing in any face are in one split.

    Args:
        split_seed: which characters, or scripts, are held out.
        val, test: the fractions of the characters, or scripts, held out for validation and test.
        split_by: ``character``, or ``script``: whole scripts are held out; a character that looks
            the same in scripts of different splits is left out.
    """

    name = "glyphs"
    modalities: Mapping[str, Granularity] = {
        "image": Granularity.SAMPLE,
        "text": Granularity.CLASS,
        "strokes": Granularity.SAMPLE,
    }

    def __init__(self, split_seed: int, val: float, test: float, split_by: str = "character"):
        require(
            split_by in ("character", "script"), "dataset.split_by", split_by, "character or script"
        )
        self.split_seed, self.val, self.test, self.split_by = split_seed, val, test, split_by

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Images are uint8 ``[n, 32, 32]``, 255 on 0; strokes are in pixels. The
        rows of a class are its faces.
        """
        fonts = dejavu_faces()
        key = cache_key(fonts)
        arrays = cached_arrays("glyphs", key, lambda: draw_classes(fonts))
        images = torch.from_numpy(arrays["images"])
        names = [str(n).split("\n") for n in arrays["names"]]
        alike = arrays["alike"]
        drawn = strokes_of([n[0] for n in names], fonts, key) if "strokes" in modalities else None
        found = {}
        for split, part in self._split(names, classes_of(alike)).items():
            rows = np.array(part, np.int64)[:, None] * len(fonts) + np.arange(len(fonts))
            strokes = None if drawn is None else Subset(drawn, rows.ravel())
            found[split] = _samples(images[part], strokes, [names[i] for i in part], alike[part])
        return found

    def _split(self, names: list[list[str]], together: np.ndarray) -> dict[str, list[int]]:
        """Return the characters of each split; those with one number in ``together`` share a
        drawing and so a split.
        """
        if self.split_by == "character":
            return split_classes(
                [n[0] for n in names], self.split_seed, self.val, self.test, together
            )
        own = [{script_of(n) for n in several} for several in names]
        of = [
            set.union(*(own[i] for i in np.flatnonzero(together == number))) for number in together
        ]
        scripts = sorted(set.union(*of))
        held = split_classes(scripts, self.split_seed, self.val, self.test)
        kept = {split: {scripts[s] for s in held[split]} for split in SPLITS}
        return {split: [i for i, own in enumerate(of) if own <= kept[split]] for split in SPLITS}


def script_of(name: str) -> str:
    """The script of the character with this name, such as ``Grek``; ``Zyyy`` for characters that
    several scripts share.
    """
    from fontTools import unicodedata as scripts

    return str(scripts.script(unicodedata.lookup(name)))


def _samples(
    images: torch.Tensor, strokes: Subset | None, names: list[list[str]], alike: np.ndarray
) -> Samples:
    classes, faces = images.shape[:2]
    columns = {"image": Column(images.flatten(0, 1)), "text": Column.of_texts(names)}
    same = linked(alike.ravel())
    if strokes is not None:
        columns["strokes"] = Column(strokes)
        same = linked(same, identical(strokes))  # equal outlines, even if stored differently
    return Samples(
        classes=[n[0] for n in names],
        starts=np.arange(classes + 1) * faces,
        columns=columns,
        duplicates=if_any(same),
        superclasses=np.unique([script_of(several[0]) for several in names], return_inverse=True)[
            1
        ],
    )


def strokes_of(names: list[str], fonts: list[Path], key: dict[str, Any]) -> Ragged:
    """Return the outlines of all faces of each character, from the cache if possible; ``key`` is
    the cache key of the drawings.
    """
    key = {**key, "outlines": code_of(glyph_strokes)}
    read = cached_arrays("glyph-strokes", key, lambda: outlines_of(names, fonts))
    shapes = np.column_stack([read["lengths"], np.full(len(read["lengths"]), 4)])
    return Ragged(read["points"].ravel(), shapes, key_of(key))


def outlines_of(names: list[str], fonts: list[Path]) -> dict[str, np.ndarray]:
    """Draw the outlines: ``points`` of all faces of each character, one after the other, and their
    ``lengths``.
    """
    characters = [unicodedata.lookup(n) for n in names]
    by_face = [draw_outlines(characters, font, FONT_SIZE, SIDE) for font in fonts]
    drawn = [outline for several in zip(*by_face, strict=True) for outline in several]
    return {"points": np.concatenate(drawn), "lengths": np.array([len(d) for d in drawn])}


def cache_key(fonts: list[Path]) -> dict[str, Any]:
    """Everything that the drawings depend on, as a cache key."""
    import fontTools
    import PIL
    from PIL import features

    return {
        "code": code_of(sys.modules[__name__], duplicates),
        "fonts": {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in fonts},
        "pillow": PIL.__version__,
        "fonttools": fontTools.version,
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
    """Draw all characters and merge those that look the same.

    Returns:
        ``images`` ``[classes, faces, 32, 32]``, ``names`` ``[classes]``, newline between names,
        and ``alike`` ``[classes, faces]``: a number, the same for drawings with the same pixels
        or the same outline.
    """
    characters = shared_characters(fonts)
    drawings = np.stack([draw(characters, font) for font in fonts], axis=1)
    visible = np.flatnonzero(drawings.max(axis=(2, 3)).min(axis=1))
    characters, drawings = [characters[i] for i in visible], drawings[visible]
    groups = merge_lookalikes(drawings)
    firsts = [g[0] for g in groups]
    images = drawings[firsts]
    outlines = np.stack(
        [outlines_as_text([characters[i] for i in firsts], font) for font in fonts], axis=1
    )
    alike = linked(identical(images.reshape(-1, SIDE, SIDE)), identical(outlines.ravel())).reshape(
        len(images), -1
    )
    kept = np.flatnonzero([tells_faces_apart(faces) for faces in alike])
    names = np.array(["\n".join(unicodedata.name(characters[i]) for i in groups[k]) for k in kept])
    return {"images": images[kept], "names": names, "alike": alike[kept]}


def tells_faces_apart(alike: np.ndarray) -> bool:
    """Whether two sets of ``UNLIKE`` faces draw a character differently; ``alike`` is ``[faces]``,
    numbers as of :func:`draw_classes`.
    """
    sums = {0}
    for count in np.unique(alike, return_counts=True)[1].tolist():
        sums |= {s + count for s in sums}
    return any(UNLIKE <= s <= len(alike) - UNLIKE for s in sums)


def classes_of(alike: np.ndarray) -> np.ndarray:
    """Return a number for each class, ``[classes]``, the same for classes that share a drawing;
    ``alike`` is ``[classes, faces]``.
    """
    classes, faces = alike.shape
    return linked(np.arange(classes).repeat(faces), alike.ravel())[::faces]


def shared_characters(fonts: list[Path]) -> list[str]:
    """Return the letters, symbols, numbers and punctuation marks that have a name and are in every
    font.
    """
    from fontTools.ttLib import TTFont

    codes = []
    for path in fonts:
        with TTFont(path, lazy=True) as font:
            codes.append(set(font.getBestCmap()))
    shared = set.intersection(*codes)
    named = [c for c in map(chr, sorted(shared)) if unicodedata.name(c, None)]
    return [c for c in named if unicodedata.category(c)[0] in "LSNP"]


def outlines_as_text(characters: list[str], font: Path) -> np.ndarray:
    """Return the outline of each character as a text, ``[characters]``: texts are equal if outlines
    and their positions are.
    """
    from fontTools.ttLib import TTFont

    with TTFont(font) as face:
        outlines, names, widths = face["glyf"], face.getBestCmap(), face["hmtx"]
        found = []
        for character in characters:
            name = names[ord(character)]
            points, ends, on_curve = outlines[name].getCoordinates(outlines)
            half = widths[name][0] / 2  # drawings are centred
            found.append(repr(([(x - half, y) for x, y in points], list(ends), bytes(on_curve))))
    return np.array(found, object)


def draw(characters: list[str], font: Path) -> np.ndarray:
    """Draw each character at size 22, centred on 32×32 pixels: uint8 ``[characters, 32, 32]``."""
    from PIL import Image, ImageDraw, ImageFont

    face = ImageFont.truetype(str(font), FONT_SIZE)
    images = np.empty((len(characters), SIDE, SIDE), np.uint8)
    for i, character in enumerate(characters):
        canvas = Image.new("L", (SIDE, SIDE))
        ImageDraw.Draw(canvas).text((SIDE / 2, SIDE / 2), character, 255, font=face, anchor="mm")
        images[i] = np.asarray(canvas)
    return images


def merge_lookalikes(drawings: np.ndarray) -> list[list[int]]:
    """Return groups of characters that are drawn alike in at least ``SAME_FACES`` faces, directly
    or through other characters.
    """
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
