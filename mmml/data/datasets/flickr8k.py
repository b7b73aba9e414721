"""``dataset=flickr8k``: photographs, each with five English captions and one sentence in each of
four languages.
"""

import gzip
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from mmml.data.archives import unpacked
from mmml.data.base import Granularity, Samples, datasets, split_classes
from mmml.data.column import Column
from mmml.data.download import Download
from mmml.data.media import Limits
from mmml.data.media_cache import decode_whole
from mmml.data.on_disk import OnDisk
from mmml.data.values import Subset
from mmml.errors import UserError, require

MULTI30K = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1"
DIGESTS = {
    "image_splits/train.txt": (
        "sha256:97ee57e160a46c7d0e75298ebf57967e1245698a6f8806436ff07e61d1a41221"
    ),
    "raw/train.cs.gz": "sha256:a65adb8b32e3bc664f21ecba7a6e7f6950fd1f405e135f7c312faabdb6255077",
    "raw/train.de.gz": "sha256:726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "raw/train.en.gz": "sha256:d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "raw/train.fr.gz": "sha256:622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c",
}
CAPTIONS = "captions"
LANGUAGES = ("en", "de", "fr", "cs")


class Flickr8kFiles(OnDisk):
    """The files of Flickr8k's photographs and of their descriptions."""

    folder_name = "flickr8k_multi30k"
    downloads = tuple(
        Download(f"{MULTI30K}/{path}", path, digest) for path, digest in DIGESTS.items()
    )
    by_hand: ClassVar[Mapping[str, str]] = {
        "*images*.zip": (
            "images.zip, the photographs of Flickr8k, for non-commercial research and education"
        ),
        "captions_en.token.txt": "captions_en.token.txt, which is Flickr8k's Flickr8k.token.txt",
    }

    def photographs(self) -> dict[str, Path]:
        """The files of the photographs, by name."""
        folder = unpacked(self.find("*images*.zip", wanted="images.zip"), ".jpg")
        return {path.stem: path for path in folder.rglob("*.jpg")}

    def aligned(self, language: str) -> dict[str, str]:
        """Multi30k's sentence about each photograph in a language, by the first part of the
        photograph's name, which Flickr8k shares.
        """
        listed = self.find("**/image_splits_train.txt", "**/image_splits/train.txt")[0]
        sentences = self.find(f"**/train.{language}.gz")[0]
        names = [Path(line.strip()).stem for line in listed.read_text().split()]
        said = gzip.decompress(sentences.read_bytes()).decode().splitlines()
        if len(names) != len(said):
            lines = f"{listed.name} and {sentences.name} have {len(names)} and {len(said)} lines"
            raise UserError(f"dataset.root: {lines}; they must come from one version of Multi30k")
        return dict(zip(names, said, strict=True))


@datasets.register("flickr8k")
class Flickr8k(Flickr8kFiles):
    """Photographs of Flickr8k (Hodosh et al., 2013) that are also in Multi30k (Elliott et al.,
    2016).

    A class is a photograph; ``image`` is its only sample, ``text`` its descriptions. Splits hold
    out photographs.

    Args:
        root: the folder that contains ``flickr8k_multi30k/``.
        sentences: the kinds of text: ``captions``, the five English captions, and any of ``en``,
            ``de``, ``fr`` and ``cs``, the aligned sentences.
        size: images are reduced so that their longer side has this many pixels.
        split_seed: which photographs are held out.
        val, test: the fractions of the photographs held out for validation and test.
    """

    name = "flickr8k"
    modalities: Mapping[str, Granularity] = {"image": Granularity.SAMPLE, "text": Granularity.CLASS}

    def __init__(
        self,
        root: str | None,
        sentences: list[str],
        size: int,
        split_seed: int,
        val: float,
        test: float,
    ):
        super().__init__(root)
        self.sentences, self.size = sentences, size
        self.split_seed, self.val, self.test = split_seed, val, test
        ok = bool(sentences) and set(sentences) <= {CAPTIONS, *LANGUAGES}
        require(ok, "dataset.sentences", sentences, f"a list of {CAPTIONS}, {', '.join(LANGUAGES)}")
        require(size >= 16, "dataset.size", size, "16 pixels or more")

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Images are uint8 ``[3, H, W]``, in an object array unless all have one
        size.
        """
        files = self.photographs()
        texts = self._texts(files)
        names = sorted(set(files) & set(texts))
        columns = {}
        if "image" in modalities:
            columns["image"] = decode_whole(
                "image", [files[n] for n in names], Limits(image_side=self.size)
            )
        found = {}
        for split, part in split_classes(names, self.split_seed, self.val, self.test).items():
            own = {"text": Column.of_texts([texts[names[i]] for i in part])}
            own |= {m: Column(Subset(values, np.array(part))) for m, values in columns.items()}
            numbers = [names[i].split("_")[0] for i in part]  # as dataset=multi30k names them
            found[split] = Samples(
                [names[i] for i in part], np.arange(len(part) + 1), own, kept_apart=numbers
            )
        return found

    def _texts(self, photographs: Collection[str]) -> dict[str, list[str]]:
        """Return the texts of each photograph that has texts of all kinds in ``sentences``."""
        kinds = [
            self._captions() if kind == CAPTIONS else self._aligned(kind, photographs)
            for kind in self.sentences
        ]
        common = set.intersection(*map(set, kinds))
        return {name: [text for kind in kinds for text in kind[name]] for name in common}

    def _captions(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = defaultdict(list)
        read = self.find("captions_en.token.txt")[0].read_text("utf-8")
        for line in read.split("\n")[:-1]:
            name, _, caption = line.partition("\t")
            found[Path(name.partition("#")[0]).stem].append(caption)
        return found

    def _aligned(self, language: str, photographs: Collection[str]) -> dict[str, list[str]]:
        of = self.aligned(language)
        return {stem: [of[stem.split("_")[0]]] for stem in photographs if stem.split("_")[0] in of}
