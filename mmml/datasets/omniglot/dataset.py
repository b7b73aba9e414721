"""``dataset=omniglot``: 1,623 characters of 50 alphabets, each drawn by 20 people (Lake et al., 2015).

``DIR/omniglot`` holds the archives of images from github.com/brendenlake/omniglot
(``images_background.zip`` and ``images_evaluation.zip``), or one that has them all.
"""

import hashlib
import io
import zipfile
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch

from mmml.datasets.base import SPLITS, Column, Dataset, Per, Samples, datasets, shuffled
from mmml.datasets.cache import cached_arrays
from mmml.errors import UserError, require

CHARACTERS, DRAWERS = 1623, 20
TRAIN, TEST = 1028, 423  # of the 1,623; the other 172 are for validation


@datasets.register("omniglot")
class Omniglot(Dataset):
    """Characters turned by 0, 90, 180 and 270 degrees are classes of their own (Santoro et al., 2016).

    As in MAML, 1,200 random characters are to be trained on and 423 for test; since published
    work has no validation set, 172 of the 1,200 are held out for it here. All turns of a character
    are in one split.

    Args:
        root: the folder that holds ``omniglot/``.
        size: images are reduced to this many pixels on each side (28 as published).
        rotations: whether turned characters are classes.
        split_seed: which characters are held out.
    """

    name = "omniglot"
    modalities: Mapping[str, Per] = {"image": Per.SAMPLE}

    def __init__(self, root: str | None, size: int, rotations: bool, split_seed: int):
        if root is None:
            raise UserError("dataset.root= is needed: the folder that holds omniglot/ (or set MMML_DATA to it)")
        require(8 <= size <= 105, "dataset.size", size, "from 8 to 105 pixels")
        self.folder, self.size, self.rotations, self.split_seed = Path(root) / "omniglot", size, rotations, split_seed

    def load(self, modalities: Collection[str] = (), scores: bool = False) -> dict[str, Samples]:
        """Images are uint8 ``[n, size, size]``, ink 255 on 0; the rows of a class are its 20 drawings."""
        archives = image_archives(self.folder)
        key = {"code": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(), "size": self.size, **stamps(archives)}
        arrays = cached_arrays("omniglot", key, lambda: read_characters(archives, self.size))
        images, names = torch.from_numpy(arrays["images"]), arrays["names"].tolist()
        order = shuffled(names, self.split_seed)
        bounds = np.cumsum([0, TRAIN, CHARACTERS - TRAIN - TEST, TEST])
        parts = {s: sorted(order[bounds[i] : bounds[i + 1]]) for i, s in enumerate(SPLITS)}
        return {split: self._samples(images[c], [names[i] for i in c]) for split, c in parts.items()}

    def _samples(self, images: torch.Tensor, names: list[str]) -> Samples:
        turns = range(4 if self.rotations else 1)
        turned = torch.stack([images.rot90(t, (-2, -1)) for t in turns], dim=1)  # [characters, turns, drawers, …]
        classes = [f"{name}/rot{90 * t:03}" for name in names for t in turns]
        starts = np.arange(len(classes) + 1) * DRAWERS
        return Samples(classes, starts, {"image": Column(Per.SAMPLE, turned.flatten(0, 2))})


def image_archives(folder: Path) -> list[Path]:
    """The archives of images in a folder.

    Raises:
        UserError: there is none.
    """
    found = sorted(p for p in folder.glob("*images*.zip"))
    if not found:
        raise UserError(
            f"dataset.root={folder.parent}: {folder} has no images_background.zip and images_evaluation.zip; "
            "download them from github.com/brendenlake/omniglot (folder python) into it"
        )
    return found


def stamps(archives: list[Path]) -> dict[str, Any]:
    """What tells one version of the archives from another."""
    return {"archives": [[str(p), p.stat().st_size, p.stat().st_mtime_ns] for p in archives]}


def read_characters(archives: list[Path], size: int) -> dict[str, np.ndarray]:
    """``images`` ``[characters, 20, size, size]``, ink 255, and ``names`` such as ``Greek/character03``, sorted."""
    from PIL import Image

    drawings: dict[str, dict[str, np.ndarray]] = defaultdict(dict)
    for archive in archives:
        with zipfile.ZipFile(archive) as opened:
            for member in opened.namelist():
                place = PurePosixPath(member)
                if place.suffix == ".png" and not place.name.startswith("."):
                    image = Image.open(io.BytesIO(opened.read(member))).convert("L")
                    small = image.resize((size, size), Image.Resampling.BOX)
                    drawings["/".join(place.parts[-3:-1])][place.name] = 255 - np.asarray(small)
    names = sorted(drawings)
    counts = {len(d) for d in drawings.values()}
    if len(names) != CHARACTERS or counts != {DRAWERS}:
        told = ", ".join(p.name for p in archives)
        raise UserError(
            f"dataset.root: {told} hold {len(names)} characters with {min(counts, default=0)} or more drawings each, "
            f"but Omniglot has {CHARACTERS} with {DRAWERS}; get images_background.zip and images_evaluation.zip"
        )
    images = np.stack([np.stack([drawings[n][k] for k in sorted(drawings[n])]) for n in names])
    return {"images": images, "names": np.array(names)}
