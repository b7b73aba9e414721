"""``dataset=omniglot``: 1,623 characters of 50 alphabets, each drawn by 20 people
(Lake et al., 2015).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmml.data.archives import stamps
from mmml.data.base import Granularity, Samples, datasets
from mmml.data.cache import cached_arrays, code_of
from mmml.data.datasets.omniglot import archives
from mmml.data.datasets.omniglot.archives import PAPER, read_images, read_runs, read_strokes
from mmml.data.datasets.omniglot.rows import Strokes, official_episodes, samples_of
from mmml.data.datasets.omniglot.splits import ALPHABETS, FILES, KINDS, split_characters
from mmml.data.download import Download
from mmml.data.on_disk import OnDisk
from mmml.errors import UserError, require

IMAGES, STROKES, RUNS = "*images*.zip", "strokes_*.zip", "all_runs.zip"
WANTED = {
    IMAGES: "images_background.zip and images_evaluation.zip",
    STROKES: "strokes_background.zip and strokes_evaluation.zip",
}
HOME = "https://raw.githubusercontent.com/brendenlake/omniglot/057f034baf2ecb8530bc5710e5a23584d2a519cc/python"
SPLITS_HOME = "https://raw.githubusercontent.com/jakesnell/prototypical-networks/8fdc675e33f630999fe39c1465647a859ad69621"
VINYALS = {
    "train.txt": "sha256:984522c194c30fb678ce53304a160a42faf5403ad4f9a67010f32dd3a35738e0",
    "trainval.txt": "sha256:5276ae50c755596d0bff7f2284e85625695549a85ee6e36b6491ad1e5d1cc26a",
    "test.txt": "sha256:845264cc5c156180828ccf17915668b17ee21424d0170df6e7d81676aa5d1204",
}
DIGESTS = {
    "images_background.zip": "md5:68d2efa1b9178cc56df9314c21c6e718",
    "images_evaluation.zip": "md5:6b91aef0f799c5bb55b94e3f2daec811",
    "strokes_background_small1.zip": (
        "sha256:8cb3960fb6cf4ccf5f064ad83169f828c36c36782a0f6e7faacb7ecfae4468a2"
    ),
    "strokes_background_small2.zip": (
        "sha256:345bf2141efbea062833dbb2828abbc23d9e07825e46f2afdd4daecddfed6e78"
    ),
    "one-shot-classification/all_runs.zip": (
        "sha256:437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325"
    ),
}

Arrays = dict[str, np.ndarray]


@datasets.register("omniglot")
class Omniglot(OnDisk):
    """Images of characters, and strokes if their archives are there; a class's superclass is its
    alphabet.

    Characters rotated by 0, 90, 180 and 270 degrees are separate classes (Santoro et al., 2016),
    all in one split. If splits are whole alphabets, the test split has the 20 official one-shot
    runs as official episodes.

    Args:
        root: the folder that contains ``omniglot/``.
        size: images are reduced to this many pixels on each side (28 is usual, 105 is the original
            size).
        rotations: whether rotated characters are classes.
        split_seed: seed of the random parts of a split.
        split: ``random``: 1,200 characters for training as in MAML, of which 172 serve for
            validation here, and 423 for test. ``vinyals``: the split of Vinyals et al. (2016).
            ``background``: the 30 background alphabets for training, of which 5 serve for
            validation, and the 20 evaluation alphabets for test (Lake et al., 2015). ``small1``,
            ``small2``: the same with five alphabets for training, and the other background
            alphabets for validation.
    """

    name = "omniglot"
    folder_name = "omniglot"
    downloads = (
        *(Download(f"{HOME}/{path}", Path(path).name, digest) for path, digest in DIGESTS.items()),
        *(
            Download(f"{SPLITS_HOME}/data/omniglot/splits/vinyals/{f}", f"{FILES}/{f}", d)
            for f, d in VINYALS.items()
        ),
    )
    modalities: Mapping[str, Granularity] = {
        "image": Granularity.SAMPLE,
        "strokes": Granularity.SAMPLE,
    }

    def __init__(
        self,
        root: str | None,
        size: int,
        rotations: bool,
        split_seed: int,
        split: str = "random",
    ):
        require(8 <= size <= PAPER, "dataset.size", size, f"from 8 to {PAPER} pixels")
        require(split in KINDS, "dataset.split", split, f"one of {', '.join(KINDS)}")
        super().__init__(root)
        self.size, self.rotations = size, rotations
        self.split, self.split_seed = split, split_seed

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Images are uint8 ``[n, size, size]``, 255 on 0; the rows of a class are
        its drawings.
        """
        read = self._read(IMAGES, read_images, self.size)
        strokes = Strokes(self._read(STROKES, read_strokes)) if "strokes" in modalities else None
        parts = split_characters(self.split, read["names"].tolist(), self.split_seed, self.folder)
        found = {}
        for split, part in parts.items():
            names, images, drawings = (
                read[k][np.array(part, np.int64)] for k in ("names", "images", "drawings")
            )
            points = None
            if strokes:
                known = strokes.known(drawings)
                if split == "train":
                    self._check_known(known)
                if known.all():
                    points = strokes.of(drawings)
            found[split] = samples_of(names.tolist(), images, points, self.turns)
        if self.split in ALPHABETS and any(self.folder.glob(RUNS)):
            runs = official_episodes(
                read["prints"][parts["test"]], self._read(RUNS, read_runs)["runs"], self.turns
            )
            found["test"] = replace(found["test"], official_episodes=runs)
        return found

    @property
    def turns(self) -> int:
        """The number of rotations of each character, each a class."""
        return 4 if self.rotations else 1

    def _read(self, kind: str, read: Callable[..., Arrays], *size: int) -> Arrays:
        """Return the content of archives of one kind, from the cache if they were read before."""
        found = self.find(kind, wanted=WANTED.get(kind))
        key = {"code": code_of(archives), "what": [kind, *size], "archives": stamps(found)}
        return cached_arrays("omniglot", key, lambda: read(found, *size))

    def _check_known(self, known: np.ndarray) -> None:
        """Raise ``UserError`` if some training characters have no strokes."""
        if known.all():
            return
        message = (
            "not all training characters have strokes"
            if known.any()
            else "no training character has strokes"
        )
        raise UserError(
            f"dataset.split={self.split}: {message}; get {WANTED[STROKES]} "
            "of github.com/brendenlake/omniglot by hand, or set dataset.split=small1 or small2"
        )
