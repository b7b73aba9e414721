"""``dataset=emoji_texts``: emoji with names, where a class is a language or a topic, and a sample
is the name of one emoji.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mmml.data.base import SPLITS, Granularity, Samples, check_held_out, datasets, split_classes
from mmml.data.column import Column
from mmml.data.datasets.emoji import ARTWORKS, EmojiFiles, Named
from mmml.data.values import Subset, Values, objects
from mmml.errors import UserError, require

Pairs = dict[str, list[tuple[str, str, str]]]
"""By class: code points of an emoji, a text, and the text that it translates (empty if none)."""


@datasets.register("emoji_texts")
class EmojiTexts(EmojiFiles):
    """Names of emoji, for generating or retrieving the names of other emoji in a new language or on
    a new topic.

    A sample is a drawing (``image``, one of the artworks), its name (``text``) and, with
    ``source``, its name in another language (``source_text``). All emoji of a topic are in one
    split. If classes are languages, emoji are split as in ``dataset=emoji``, or all splits have the
    same emoji.

    Args:
        root: the folder that contains ``emoji/``.
        classes: ``languages``, or ``topics``: Unicode's subgroups of emoji, with names in the first
            language.
        languages: of the names.
        val_languages, test_languages: those of the languages that are the classes of validation and
            test.
        disjoint_items: whether the emoji of validation and test are held out, too, besides their
            languages.
        source: the language of ``source_text``, which is then not a class; None for no
            ``source_text``.
        keywords: whether each of Unicode's keywords is a further sample in training.
        min_class_size: topics with fewer emoji are left out.
        size: images are reduced to this many pixels on each side.
        split_seed: which emoji, or topics, are held out.
        val, test: the fractions of the emoji, or topics, held out for validation and test.
    """

    name = "emoji_texts"
    identity = "emoji"

    def __init__(
        self,
        root: str | None,
        classes: str,
        languages: list[str],
        val_languages: list[str],
        test_languages: list[str],
        disjoint_items: bool,
        source: str | None,
        keywords: bool,
        min_class_size: int,
        size: int,
        split_seed: int,
        val: float,
        test: float,
    ):
        super().__init__(
            root, languages if source in (None, *languages) else [*languages, str(source)], size
        )
        require(
            classes in ("languages", "topics"), "dataset.classes", classes, "languages or topics"
        )
        self.classes = classes
        self.source = source
        self.keywords = keywords
        self.min_class_size = min_class_size
        self.disjoint_items = disjoint_items or classes == "topics"
        self.split_seed, self.val, self.test = split_seed, val, test
        self.held_out = {"val": val_languages, "test": test_languages}
        if classes == "topics" and source == languages[0]:
            raise UserError(
                f"dataset.source={source} is what dataset.languages asks for: "
                "choose another, or null"
            )
        if classes == "languages":
            check_held_out(
                val_languages, test_languages, [n for n in languages if n != source], "languages"
            )
        self.modalities: Mapping[str, Granularity] = dict.fromkeys(
            ("image", "text", *(["source_text"] if source else [])), Granularity.SAMPLE
        )

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Images are uint8 ``[n, 3, size, size]``."""
        files = [self.files(artwork) for artwork in ARTWORKS]
        listed = self.listed(files)
        names, keywords = self.names(listed)
        images = self.images(listed, files) if "image" in modalities else None
        number = {code: i for i, code in enumerate(listed)}
        by_topic = self.classes == "topics"
        parts = self._topics(listed) if by_topic else self._emoji(list(listed))
        found = {}
        for split, part in parts.items():
            codes = [list(listed)[i] for i in part]
            named = keywords if self.keywords and split == "train" else names
            pairs = (
                self._by_topic(codes, named, listed)
                if by_topic
                else self._by_language(codes, named, split)
            )
            found[split] = self._samples(pairs, number, images)
        return found

    def _emoji(self, codes: list[str]) -> dict[str, list[int]]:
        """Return the emoji of each split, as positions in ``codes``."""
        if self.disjoint_items:
            return split_classes(codes, self.split_seed, self.val, self.test)
        return {split: [*range(len(codes))] for split in SPLITS}

    def _topics(self, listed: Mapping[str, Mapping[str, str]]) -> dict[str, list[int]]:
        """Return the emoji of each split, as positions in ``listed``; all emoji of a topic are in
        one split.
        """
        of: dict[str, list[int]] = defaultdict(list)
        for i, entry in enumerate(listed.values()):
            of[entry["subgroup"]].append(i)
        topics = sorted(t for t, members in of.items() if len(members) >= self.min_class_size)
        split = split_classes(topics, self.split_seed, self.val, self.test)
        return {name: [i for t in part for i in of[topics[t]]] for name, part in split.items()}

    def _by_topic(
        self, codes: Sequence[str], named: Named, listed: Mapping[str, Mapping[str, str]]
    ) -> Pairs:
        pairs: Pairs = {listed[code]["subgroup"]: [] for code in codes}
        for code in codes:
            texts = [text for language, text in named[code] if language == self.languages[0]]
            pairs[listed[code]["subgroup"]] += [
                (code, text, self._source(named[code])) for text in texts
            ]
        return pairs

    def _by_language(self, codes: Sequence[str], named: Named, split: str) -> Pairs:
        held = [language for several in self.held_out.values() for language in several]
        others = [language for language in self.languages if language not in (*held, self.source)]
        pairs: Pairs = {language: [] for language in self.held_out.get(split, others)}
        for code in codes:
            source = self._source(named[code])
            for language, text in named[code]:
                if language in pairs and (source or not self.source):
                    pairs[language].append((code, text, source))
        return pairs

    def _source(self, named: Sequence[tuple[str, str]]) -> str:
        return next((text for language, text in named if language == self.source), "")

    def _samples(self, pairs: Pairs, number: Mapping[str, int], images: Values | None) -> Samples:
        """Return the samples of a split; each class begins with the next artwork."""
        flat = [(turn, *pair) for turn, several in enumerate(pairs.values()) for pair in several]
        columns = {"text": Column(objects([text for _, _, text, _ in flat]))}
        if self.source:
            columns["source_text"] = Column(objects([source for *_, source in flat]))
        if images is not None:
            rows = [
                number[c] * len(ARTWORKS) + (number[c] + turn) % len(ARTWORKS)
                for turn, c, _, _ in flat
            ]
            columns["image"] = Column(Subset(images, np.array(rows, np.int64)))
        starts = np.cumsum([0, *map(len, pairs.values())])
        emoji = sorted({code for _, code, _, _ in flat}) if self.disjoint_items else []
        groups = np.array([number[code] for _, code, _, _ in flat], np.int64)
        return Samples(list(pairs), starts, columns, groups=groups, kept_apart=emoji)
