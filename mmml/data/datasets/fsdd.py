"""``dataset=fsdd``: spoken digits, 50 recordings of each digit by each of six speakers."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import torch

from mmml.data.archives import unpacked
from mmml.data.audio_augment import Spliced, words_of
from mmml.data.base import SPLITS, Granularity, Samples, datasets
from mmml.data.column import Column
from mmml.data.download import Download
from mmml.data.media import Limits
from mmml.data.media_cache import decode_whole
from mmml.data.on_disk import OnDisk
from mmml.data.values import Subset, Values
from mmml.errors import UserError, did_you_mean, require

HOME = "https://codeload.github.com/Jakobovski/free-spoken-digit-dataset/zip/26eb9aaf76e81b692f806f9140c2d2777410d7a1"
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
NAME = re.compile(r"(\d)_(\w+?)_(\d+)")  # digit, speaker, take


@datasets.register("fsdd")
class FSDD(OnDisk):
    """The Free Spoken Digit Dataset: a class is a digit; the speaker is both group and domain.

    ``image`` is an image of the same digit from scikit-learn's digits (8×8 pixels, by other
    people). Every recording has its own image; if images are used, each digit has only as many
    samples as it has images.

    Args:
        root: the folder that contains ``fsdd/``.
        val_digits, test_digits: held out for validation and test, numbers from 0 to 9.
        speaker: the speaker of the test queries, who is in no other split; null uses all speakers
            in all splits.
        test_speakers: ``own``: the test split has only this speaker; ``all``: it has the other
            speakers, too, so that support sets can be of other speakers
            (``episode.eval.query_domain``).
        concat_augmentation: whether training also has words joined from halves of two digits, and
            all words played backwards. Their images are joined from two halves, and mirrored for
            backwards.
    """

    name = "fsdd"
    folder_name = "fsdd"
    # The server packs it again for each download, so its bytes may differ.
    downloads = (Download(HOME, "recordings.zip"),)
    modalities: Mapping[str, Granularity] = {
        "audio": Granularity.SAMPLE,
        "image": Granularity.SAMPLE,
        "text": Granularity.CLASS,
    }

    def __init__(
        self,
        root: str | None,
        val_digits: list[int],
        test_digits: list[int],
        speaker: str | None,
        test_speakers: str = "own",
        concat_augmentation: bool = False,
    ):
        super().__init__(root)
        require(
            test_speakers in ("own", "all"), "dataset.test_speakers", test_speakers, "own or all"
        )
        if test_speakers == "all" and speaker is None:
            raise UserError(
                "dataset.test_speakers=all is about one speaker, who is tested on: name one, "
                "dataset.speaker=theo"
            )
        for option, digits in (("val_digits", val_digits), ("test_digits", test_digits)):
            ok = set(digits) <= set(range(10)) and len(set(digits)) == len(digits)
            require(ok, f"dataset.{option}", digits, "a list of different numbers from 0 to 9")
        if both := sorted(set(val_digits) & set(test_digits)):
            raise UserError(
                f"dataset.test_digits: {both[0]} is one of dataset.val_digits too; "
                "each has one split"
            )
        self.digits_of = {"val": val_digits, "test": test_digits}
        self.digits_of["train"] = sorted(set(range(10)) - set(val_digits) - set(test_digits))
        self.speaker = speaker
        self.test_speakers = test_speakers
        self.concat_augmentation = concat_augmentation

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Audio is float32 at 16 kHz; images are uint8 ``[n, 8, 8]``, bright on
        dark.
        """
        archives = self.find("*recordings*.zip", wanted="recordings.zip")
        found = {
            m: p for p in unpacked(archives, ".wav").rglob("*.wav") if (m := NAME.fullmatch(p.stem))
        }
        takes = sorted(found, key=lambda m: (int(m[1]), m[2], int(m[3])))
        sounds = decode_whole("audio", [found[m] for m in takes], Limits())
        digits, speakers = np.array([int(m[1]) for m in takes]), np.array([m[2] for m in takes])
        if self.speaker is not None and self.speaker not in speakers:
            known = sorted(set(speakers.tolist()))
            raise UserError(
                f"dataset.speaker={self.speaker} is none of "
                f"{', '.join(known)}{did_you_mean(self.speaker, known)}"
            )
        images = digit_images() if "image" in modalities else None
        samples = {}
        for split in SPLITS:
            heard = self._heard(speakers, split)
            takes_of = [np.flatnonzero((digits == d) & heard) for d in self.digits_of[split]]
            drawn = None
            if images is not None:
                takes_of, drawn = illustrated(self.digits_of[split], takes_of, images, len(takes))
            made = words if self.concat_augmentation and split == "train" else digits_alone
            part = made(
                takes_of, [DIGITS[d] for d in self.digits_of[split]], sounds, speakers, drawn
            )
            samples[split] = replace(part, kept_apart=self._kept_apart(speakers[heard], split))
        return samples

    def _kept_apart(self, heard: np.ndarray, split: str) -> list[str]:
        """The speakers of a split; for test only the new one."""
        if split == "test":
            return [] if self.speaker is None else [f"speaker {self.speaker}"]
        return [f"speaker {s}" for s in np.unique(heard)]

    def _heard(self, speakers: np.ndarray, split: str) -> np.ndarray:
        """Return which recordings a split may use, bool ``[recordings]``."""
        if self.speaker is None:
            return np.ones(len(speakers), bool)
        mine: np.ndarray = speakers == self.speaker
        if split != "test":
            return ~mine
        return mine if self.test_speakers == "own" else np.ones_like(mine)


def illustrated(
    digits: list[int], takes: list[np.ndarray], images: list[np.ndarray], number: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Choose recordings and give each an image: as many recordings of a digit as it has images, at
    random.

    Args:
        digits: of a split.
        takes: the recordings of each of these digits.
        images: of all ten digits, ``[n, 8, 8]`` each.
        number: of all recordings.

    Returns:
        The recordings chosen for each digit, and the image of each recording, ``[number, 8, 8]``.
    """
    kept = []
    drawn = np.zeros((number, 8, 8), np.uint8)
    for digit, rows in zip(digits, takes, strict=True):
        own = np.random.default_rng(digit).permutation(rows)[: len(images[digit])]
        drawn[own] = images[digit][: len(own)]
        kept.append(own)
    return kept, drawn


def digits_alone(
    takes: list[np.ndarray],
    names: list[str],
    sounds: Values,
    speakers: np.ndarray,
    drawn: np.ndarray | None,
) -> Samples:
    """Return samples of the digits, without augmentation."""
    rows = np.concatenate([np.zeros(0, np.int64), *takes])
    images = None if drawn is None else drawn[rows]
    return samples_of(names, [len(r) for r in takes], Subset(sounds, rows), speakers[rows], images)


def words(
    takes: list[np.ndarray],
    names: list[str],
    sounds: Values,
    speakers: np.ndarray,
    drawn: np.ndarray | None,
) -> Samples:
    """Return samples of the digits, of words joined from halves of two digits, and of all these
    backwards.

    Images are joined from a left and a right half, and mirrored for backwards.
    """
    rows, backwards, counts = words_of(takes, speakers)
    said = [a if a == b else f"{a}-{b}" for a, b in product(names, names)]
    classes = said + [f"{word} backwards" for word in said]
    images = None
    if drawn is not None:
        images = np.concatenate([drawn[rows[:, 0], :, :4], drawn[rows[:, 1], :, 4:]], axis=2)
        images[backwards] = images[backwards, :, ::-1]
    return samples_of(
        classes, counts, Spliced(sounds, rows, backwards), speakers[rows[:, 0]], images
    )


def samples_of(
    classes: list[str],
    counts: Sequence[int],
    sounds: Values,
    speakers: np.ndarray,
    images: np.ndarray | None,
) -> Samples:
    """Return samples of some audio, class after class; ``speakers`` has the speaker of each row."""
    columns = {"audio": Column(sounds), "text": Column.of_texts([[name] for name in classes])}
    if images is not None:
        columns["image"] = Column(torch.from_numpy(images))
    groups = np.unique(speakers, return_inverse=True)[1]
    return Samples(classes, np.cumsum([0, *counts]), columns, groups=groups, domains=speakers)


def digit_images() -> list[np.ndarray]:
    """Return the images of each digit, uint8 ``[n, 8, 8]``."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    images = (loaded.images * 15.9375).astype(np.uint8)  # from 0–16 to 0–255
    return [images[loaded.target == d] for d in range(len(DIGITS))]
