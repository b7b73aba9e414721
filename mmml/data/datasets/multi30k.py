"""``dataset=multi30k``: sentences about photographs in four languages; a class is a language or a
direction of translation.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from mmml.data.base import Granularity, Samples, datasets, split_classes
from mmml.data.column import Column
from mmml.data.datasets.flickr8k import LANGUAGES, Flickr8kFiles
from mmml.data.media import Limits
from mmml.data.media_cache import decode_whole
from mmml.data.values import Subset, objects
from mmml.errors import UserError, require


@datasets.register("multi30k")
class Multi30k(Flickr8kFiles):
    """Multi30k (Elliott et al., 2016): a sample is one or two sentences about one photograph.

    If a class is a language, such as ``de``, a sample is a sentence (``text``) and its photograph
    (``image``), as far as Flickr8k's files have it. If a class is a direction, such as ``en-de``, a
    sample is a sentence (``source_text``) and its translation (``text``). A group is a photograph.
    Splits hold out photographs, and the named languages or directions.

    Args:
        root: the folder that contains ``flickr8k_multi30k/``.
        train_languages, val_languages, test_languages: the languages or directions of each split.
        size: images are reduced so that their longer side has this many pixels.
        split_seed: which photographs are held out.
        val, test: the fractions of the photographs held out for validation and test.
    """

    name = "multi30k"
    identity = "flickr8k"  # the photographs are those of Flickr8k

    def __init__(
        self,
        root: str | None,
        train_languages: list[str],
        val_languages: list[str],
        test_languages: list[str],
        size: int,
        split_seed: int,
        val: float,
        test: float,
    ):
        super().__init__(root)
        self.parts = {"train": train_languages, "val": val_languages, "test": test_languages}
        self.size, self.split_seed, self.val, self.test = size, split_seed, val, test
        directed = {"-" in name for several in self.parts.values() for name in several}
        for split, several in self.parts.items():
            known = bool(several) and all(
                set(name.split("-")) <= set(LANGUAGES) for name in several
            )
            message = f"languages, or directions such as en-de, of {', '.join(LANGUAGES)}"
            require(known and len(directed) == 1, f"dataset.{split}_languages", several, message)
        if twice := sorted(set(test_languages) & {*train_languages, *val_languages}):
            raise UserError(
                f"dataset.test_languages={test_languages}: {twice[0]} is in another split too"
            )
        require(size >= 16, "dataset.size", size, "16 pixels or more")
        self.directed = directed == {True}
        shown = "source_text" if self.directed else "image"
        self.modalities: Mapping[str, Granularity] = {
            shown: Granularity.SAMPLE,
            "text": Granularity.SAMPLE,
        }

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Images are uint8 ``[3, H, W]``, in an object array unless all have one
        size.
        """
        languages = {
            language
            for several in self.parts.values()
            for name in several
            for language in name.split("-")
        }
        said = {language: self.aligned(language) for language in sorted(languages)}
        photographs = (
            {} if self.directed else {n.split("_")[0]: p for n, p in self.photographs().items()}
        )
        names = sorted(n for n in next(iter(said.values())) if self.directed or n in photographs)
        images = None
        if "image" in modalities and not self.directed:
            images = decode_whole(
                "image", [photographs[n] for n in names], Limits(image_side=self.size)
            )
        found = {}
        for split, part in split_classes(names, self.split_seed, self.val, self.test).items():
            classes = self.parts[split]
            columns = texts_of(classes, [names[i] for i in part], said)
            starts = np.arange(len(classes) + 1) * len(part)
            photograph = np.tile(part, len(classes))
            if images is not None:
                columns["image"] = Column(Subset(images, photograph))
            found[split] = Samples(
                list(classes),
                starts,
                columns,
                groups=photograph,
                kept_apart=[names[i] for i in part],
            )
        return found


def texts_of(
    classes: Sequence[str], names: Sequence[str], said: Mapping[str, Mapping[str, str]]
) -> dict[str, Column]:
    """Return the texts of some photographs, class after class, as columns ``text`` and, for
    directions, ``source_text``; ``said`` has the sentences by language and photograph.
    """
    sides = {"text": [c.split("-")[-1] for c in classes]}
    if "-" in classes[0]:
        sides["source_text"] = [c.split("-")[0] for c in classes]
    return {
        side: Column(objects([said[language][name] for language in languages for name in names]))
        for side, languages in sides.items()
    }
