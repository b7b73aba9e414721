"""``dataset=emoji``: emoji in four drawing styles, with their names in 24 languages."""

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from mmml.data.archives import members, unpacked
from mmml.data.base import Granularity, Samples, datasets, split_classes
from mmml.data.column import Column, mask_of
from mmml.data.duplicates import identical, if_any
from mmml.data.media import Limits
from mmml.data.media_cache import decode_whole
from mmml.data.on_disk import OnDisk
from mmml.data.values import Subset, Values, objects
from mmml.errors import UserError, did_you_mean, require

ARTWORKS = ("blob", "noto", "openmoji", "twemoji")
KINDS: Mapping[str, Mapping[str, Granularity]] = {
    "artworks": {"image": Granularity.SAMPLE, "text": Granularity.CLASS},
    "names": {"text": Granularity.SAMPLE},
    "both": {"image": Granularity.SAMPLE, "text": Granularity.SAMPLE},
}
DRAWINGS, NAMES = "github.com/RealityRipple/emoji", "github.com/unicode-org/cldr-json"
SIDE = 112  # pixels of the files
VARIANT = "\ufe0f"  # a code point for display as a picture, which some lists of names leave out

Names = dict[str, dict[str, list[str]]]
"""By emoji and language: the name, followed by keywords."""
Named = dict[str, list[tuple[str, str]]]
"""By code points of an emoji: (language, name) pairs."""


class EmojiFiles(OnDisk):
    """Drawings and names of emoji on disk.

    Args:
        root: the folder that contains ``emoji/``.
        languages: of the names, such as ``[en, de]``.
        size: images are reduced to this many pixels on each side.
    """

    folder_name = "emoji"
    by_hand: ClassVar[Mapping[str, str]] = {
        **{f"{a}.zip": f"{a}.zip, the folder {a} (112 pixels) of {DRAWINGS}" for a in ARTWORKS},
        "list.json": f"list.json of {DRAWINGS}",
        "cldr*.zip": f"cldr.zip, the folders annotations and annotationsDerived of {NAMES}",
    }

    def __init__(self, root: str | None, languages: list[str], size: int):
        super().__init__(root)
        self.languages, self.size = languages, size
        require(8 <= size <= SIDE, "dataset.size", size, f"from 8 to {SIDE} pixels")
        require(
            bool(languages), "dataset.languages", languages, "a list of languages, such as [en]"
        )

    def listed(self, files: list[dict[str, Path]]) -> dict[str, dict[str, str]]:
        """Name and group of every emoji that all artworks draw, by code points such as
        ``1f600``.
        """
        listed = json.loads(self.find("list.json")[0].read_text())
        return {
            code: listed[code] for code in sorted(set.intersection(*map(set, files)) & set(listed))
        }

    def files(self, artwork: str) -> dict[str, Path]:
        """The files of an artwork's drawings, by code points."""
        folder = unpacked(self.find(f"{artwork}.zip"), ".png") / artwork
        return {path.stem: path for path in folder.iterdir()}

    def images(self, codes: Collection[str], files: list[dict[str, Path]]) -> Values:
        """The drawings of every emoji, one for each artwork, emoji by emoji."""
        paths = [drawn[code] for code in codes for drawn in files]
        return decode_whole("image", paths, Limits(image_side=self.size))

    def names(self, codes: Collection[str]) -> tuple[Named, Named]:
        """The (language, name) pairs of every emoji, and the same with keywords; an emoji may have
        none.
        """
        known = read_names(self.find("cldr*.zip", wanted="cldr.zip"), self.languages)
        names: Named = {}
        keywords: Named = {}
        for code in codes:
            by = known.get(character(code).replace(VARIANT, ""), {})
            keywords[code] = [(n, t) for n in self.languages for t in by.get(n, [])]
            names[code] = [(n, by[n][0]) for n in self.languages if by.get(n)]
        return names, keywords


@datasets.register("emoji")
class Emoji(EmojiFiles):
    """1,377 emoji: a class is an emoji, its superclass is its Unicode group.

    Args:
        root: the folder that contains ``emoji/``.
        samples: ``artworks``: a sample is a drawing (``image``), its domain the artwork, and names
            belong to classes. ``names``: a sample is a name (``text``), its domain the language;
            held-out emoji that have the same name in two languages are left out, since one name
            would reveal the other. ``both``: a sample is a drawing and a name, one sample for each
            language, which is its domain; a group is a drawing. Successive samples of an emoji show
            different artworks. A name that Unicode lacks is missing; emoji are left out as for
            ``names``.
        languages: of the names, such as ``[en, de]``; an emoji without a name in any of them is
            left out.
        keywords: whether Unicode's keywords are used as further names in training.
        size: images are reduced to this many pixels on each side.
        split_seed: which emoji are held out.
        val, test: the fractions of the emoji held out for validation and test.
    """

    name = "emoji"

    def __init__(
        self,
        root: str | None,
        samples: str,
        languages: list[str],
        keywords: bool,
        size: int,
        split_seed: int,
        val: float,
        test: float,
    ):
        super().__init__(root, languages, size)
        self.keywords = keywords
        self.split_seed, self.val, self.test = split_seed, val, test
        require(samples in KINDS, "dataset.samples", samples, f"one of {', '.join(KINDS)}")
        self.samples, self.modalities = samples, KINDS[samples]

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Images are uint8 ``[n, 3, size, size]``; texts have Unicode's upper and
        lower case.
        """
        files = [self.files(artwork) for artwork in ARTWORKS]
        listed = self.listed(files)
        names, keywords = self.names(listed)
        images = self.images(listed, files) if "image" in modalities else None
        # Split first, so that the same emoji are held out for all languages.
        parts = split_classes(list(listed), self.split_seed, self.val, self.test)
        known, kinds = list(listed), sorted({entry["group"] for entry in listed.values()})
        found = {}
        for split, part in parts.items():
            texts_of = keywords if self.keywords and split == "train" else names
            strict = split != "train" and self.samples != "artworks"
            numbers = [
                i for i in part if texts_of[known[i]] and (differ(texts_of[known[i]]) or not strict)
            ]
            codes = [known[i] for i in numbers]
            classes = [f"{listed[c]['name']} ({c})" for c in codes]
            own = [texts_of[c] for c in codes]
            samples = self._rows(classes, own, numbers, images)
            superclasses = np.array([kinds.index(listed[c]["group"]) for c in codes], np.int64)
            found[split] = replace(samples, superclasses=superclasses, kept_apart=codes)
        return found

    def _rows(
        self,
        classes: list[str],
        names: list[list[tuple[str, str]]],
        numbers: list[int],
        images: Values | None,
    ) -> Samples:
        if self.samples == "names":
            return of_names(classes, names)
        if self.samples == "both":
            return of_both(classes, names, numbers, images, self.languages)
        return of_artworks(classes, names, numbers, images)


def differ(named: list[tuple[str, str]]) -> bool:
    """Whether the names differ in all languages."""
    return len({text.casefold() for _, text in named}) == len(named)


def of_artworks(
    classes: list[str],
    names: list[list[tuple[str, str]]],
    numbers: list[int],
    images: Values | None,
) -> Samples:
    """Return samples with a row for each drawing.

    Args:
        classes: names of the classes.
        names: (language, name) pairs of each class.
        numbers: positions of the classes among all emoji.
        images: of all emoji, one for each artwork; None if they are not needed.
    """
    columns = {"text": Column.of_texts([[text for _, text in several] for several in names])}
    duplicates = None
    if images is not None:
        rows = np.array(numbers, np.int64)[:, None] * len(ARTWORKS) + np.arange(len(ARTWORKS))
        columns["image"] = Column(Subset(images, rows.ravel()))
        duplicates = if_any(identical(images)[rows.ravel()])  # some artworks draw an emoji alike
    each = np.arange(len(classes) + 1) * len(ARTWORKS)
    domains = np.array(ARTWORKS * len(classes), dtype=str)
    return Samples(classes, each, columns, duplicates=duplicates, domains=domains)


def of_names(classes: list[str], names: list[list[tuple[str, str]]]) -> Samples:
    """Return samples with a row for each name; arguments as of :func:`of_artworks`."""
    flat = [pair for several in names for pair in several]
    columns = {"text": Column(objects([text for _, text in flat]))}
    starts = np.cumsum([0, *map(len, names)])
    return Samples(
        classes, starts, columns, domains=np.array([language for language, _ in flat], dtype=str)
    )


def of_both(
    classes: list[str],
    names: list[list[tuple[str, str]]],
    numbers: list[int],
    images: Values | None,
    languages: list[str],
) -> Samples:
    """Return samples with a row for each language: a name and one of the drawings; arguments as of
    :func:`of_artworks`.
    """
    each, columns = len(languages), {}
    looks = (
        np.arange(len(ARTWORKS) * (max(numbers, default=0) + 1))
        if images is None
        else identical(images)
    )
    drawing = np.array(
        [d for i, n in enumerate(numbers) for d in in_turn(n, i, each, looks)], np.int64
    )
    texts_of = [
        dict(reversed(several)).get(language) for several in names for language in languages
    ]
    present = np.array([text is not None for text in texts_of], bool)
    columns["text"] = Column(objects(texts_of), mask_of(present))
    if images is not None:
        columns["image"] = Column(Subset(images, drawing))
    starts = np.arange(len(classes) + 1) * each
    domains = np.array(languages * len(classes), dtype=str)
    look = looks[drawing]
    # With more languages than artworks, some rows of an emoji have the same drawing.
    duplicates = None if images is None else if_any(look)
    return Samples(classes, starts, columns, duplicates=duplicates, groups=look, domains=domains)


def in_turn(number: int, turn: int, count: int, looks: np.ndarray) -> list[int]:
    """Return ``count`` positions of drawings of one emoji, in the order of the artworks from
    ``turn`` on.

    Drawings that equal an earlier one come last; if ``count`` is larger than the number of
    artworks, drawings are repeated.

    Args:
        number: of the emoji among all emoji.
        turn: number of the first artwork.
        count: how many positions.
        looks: a number for each drawing, the same for equal drawings.
    """
    every = number * len(ARTWORKS) + (turn + np.arange(len(ARTWORKS))) % len(ARTWORKS)
    first = np.sort(np.unique(looks[every], return_index=True)[1])
    order = every[np.concatenate([first, np.setdiff1d(np.arange(len(ARTWORKS)), first)])]
    return np.resize(order, count).tolist()


def character(code: str) -> str:
    """The emoji of code points such as ``0023-fe0f-20e3``."""
    return "".join(chr(int(point, 16)) for point in code.split("-"))


def read_names(archives: list[Path], languages: list[str]) -> Names:
    """Read the names and keywords of Unicode's Common Locale Data Repository in some languages.

    Raises:
        UserError: the files lack one of the languages.
    """
    found: Names = {}
    spoken: set[str] = set()
    for path, data in members(archives, ".json"):
        language = path.parts[-2]
        spoken.add(language)
        if language not in languages:
            continue
        content = next(iter(json.loads(data).values()))["annotations"]
        for emoji, entry in content.items():
            texts = [*entry.get("tts", []), *entry.get("default", [])]
            found.setdefault(emoji.replace(VARIANT, ""), {}).setdefault(
                language, list(dict.fromkeys(texts))
            )
    for language in languages:
        if language not in spoken:
            known = sorted(spoken)
            raise UserError(
                f"dataset.languages: {language} is none of "
                f"{', '.join(known)}{did_you_mean(language, known)}"
            )
    return found
