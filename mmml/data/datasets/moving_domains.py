"""``dataset=moving_domains``: videos of moving characters; a class is a character or a pair of
motions that all its videos share.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmml.data.annotated_video import Footage
from mmml.data.base import SCORE, SPLITS, Dataset, Granularity, Samples, datasets, shuffled
from mmml.data.column import Column
from mmml.data.datasets.glyphs import Glyphs
from mmml.data.datasets.moving_glyphs import FRAMES, MIDDLE, SAMPLES, Scene, Videos, split_pairs
from mmml.data.values import Subset, objects
from mmml.errors import require

WINDOW = 5  # frames of a sample: one frame and its neighbours
SPREAD = 1.0  # standard deviation, in frames, of importance around a key frame


@datasets.register("moving_domains")
class MovingDomains(Dataset):
    """Videos as in ``dataset=moving_glyphs``. A class is one character in many scenes, or one pair
    of motions of many characters; a sample is a scene or a frame.

    Characters of validation and test are held out; so are pairs of motions if they are the classes.

    Args:
        split_seed: what is held out.
        classes: ``characters`` or ``motions``.
        samples: ``videos``, each with its true sentence (``text``); or ``frames``, each shown as a
            window of five frames (``video``), with its nearness to a true key frame, from 0 to 1,
            as the score.
        domains: the largest number of classes of training; validation and test have a sixth of it
            each.
        videos: of each class.
        change_frames: the first and the last frame, from 0, in which a second motion may begin. The
            wider this range, the less the time of a frame reveals its importance.
    """

    name = "moving_domains"

    def __init__(
        self,
        split_seed: int,
        classes: str,
        samples: str,
        domains: int,
        videos: int,
        change_frames: Sequence[int] = MIDDLE,
    ):
        known = ("characters", "motions")
        require(classes in known, "dataset.classes", classes, "characters or motions")
        require(samples in ("videos", "frames"), "dataset.samples", samples, "videos or frames")
        require(domains >= 12, "dataset.domains", domains, "12 or more")
        require(2 <= videos <= 50, "dataset.videos", videos, "from 2 to 50")
        fits = len(change_frames) == 2 and 2 <= change_frames[0] <= change_frames[-1] <= FRAMES - 2
        require(
            fits,
            "dataset.change_frames",
            change_frames,
            f"two frames from 2 to {FRAMES - 2}, such as [5, 7]",
        )
        self.split_seed, self.classes, self.samples = split_seed, classes, samples
        self.domains = domains
        self.videos = videos
        self.change_frames = (change_frames[0], change_frames[1])
        modalities = ("video", "text") if samples == "videos" else ("video",)
        self.scored = samples == "frames"
        self.modalities: Mapping[str, Granularity] = dict.fromkeys(modalities, Granularity.SAMPLE)

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Videos are uint8 ``[12, 3, 48, 48]``, windows ``[5, 3, 48, 48]``, bright
        on dark.
        """
        glyphs = Glyphs(self.split_seed, 0.15, 0.15).load(["image"])
        found = {}
        for number, split in enumerate(SPLITS):
            names = glyphs[split].classes
            scenes = dict(self._scenes(split, names))
            flat = [scene for several in scenes.values() for scene in several]
            faces = glyphs[split].columns["image"].values.unflatten(0, (len(names), -1))
            videos = Videos(faces, flat, (self.split_seed, number, len(SPLITS)), self.change_frames)
            found[split] = self._samples(list(scenes), names, flat, videos)
        return found

    def _scenes(self, split: str, names: list[str]) -> Iterator[tuple[str, list[Scene]]]:
        """Yield each class and its scenes."""
        rng = np.random.default_rng([self.split_seed, SPLITS.index(split)])
        most = self.domains if split == "train" else self.domains // 6
        pairs, cast = split_pairs(self.split_seed), shuffled(names, self.split_seed)

        def scene(actor: int, pair: tuple[str, str]) -> Scene:
            return Scene(actor, (actor + int(rng.integers(1, len(names)))) % len(names), *pair)

        if self.classes == "motions":
            for pair in pairs[split][:most]:
                actors = rng.choice(len(names), self.videos, replace=False).tolist()
                yield f"{pair[0]}, then {pair[1]}", [scene(actor, pair) for actor in actors]
        else:
            for actor in cast[:most]:
                moves = rng.choice(len(pairs["train"]), self.videos, replace=False).tolist()
                yield names[actor], [scene(actor, pairs["train"][m]) for m in moves]

    def _samples(
        self, classes: list[str], names: list[str], scenes: list[Scene], videos: Videos
    ) -> Samples:
        number = np.arange(len(scenes))
        rows = number * SAMPLES + number % SAMPLES  # one video of each scene, over all fonts
        starts = np.arange(len(classes) + 1) * self.videos
        keyframes = videos.keyframes[rows]
        kept_apart = sorted(
            {names[i] for scene in scenes for i in (scene.actor, scene.other)} - set(classes)
        )
        if self.samples == "videos":
            sentences = objects([scene.sentence(names) for scene in scenes])
            columns = {
                "video": Column(Subset(videos, rows)),
                "text": Column(sentences),
            }
            return Samples(classes, starts, columns, keyframes=keyframes, kept_apart=kept_apart)
        importance = nearness(keyframes)
        columns = {
            "video": Column(Windows(videos, rows)),
            SCORE: Column.of_scores(importance.ravel()),
        }
        footage = [
            of_frames(scene.sentence(names), i, importance[i], keyframes[i])
            for i, scene in enumerate(scenes)
        ]
        return Samples(
            classes,
            starts * FRAMES,
            columns,
            groups=np.repeat(np.arange(len(scenes)), FRAMES),
            footage=footage,
            kept_apart=kept_apart,
        )


def nearness(keyframes: np.ndarray) -> np.ndarray:
    """Return how near each frame is to a key frame: bool ``[videos, frames]`` → float32 from 0 to 1
    (key frames).
    """
    frames = np.arange(keyframes.shape[1])
    found = [
        np.exp(-0.5 * ((frames[:, None] - np.flatnonzero(k)) / SPREAD) ** 2).max(1)
        for k in keyframes
    ]
    return np.array(found, np.float32)


def of_frames(name: str, number: int, importance: np.ndarray, keyframes: np.ndarray) -> Footage:
    """Return the footage of video ``number`` if samples are frames; its only annotator is the
    ground truth.
    """
    every = np.arange(FRAMES)
    segments, budget = np.stack([every, every], axis=1), keyframes.sum() / FRAMES
    return Footage(
        name,
        number * FRAMES + every,
        every,
        importance[None],
        segments,
        keyframes[None],
        float(budget),
    )


class Windows:
    """Windows of frames around every frame of some videos; at the ends, the first or last frame is
    repeated.

    Args:
        videos: of all scenes.
        rows: the videos whose frames are used.
    """

    def __init__(self, videos: Videos, rows: np.ndarray):
        self.videos, self.rows = videos, rows
        self.identity = f"{videos.identity} {rows.tolist()} {WINDOW}"

    def __len__(self) -> int:
        return len(self.rows) * FRAMES

    def __getitem__(self, index: Any) -> Tensor:
        video, frame = np.divmod(np.arange(len(self))[index], FRAMES)
        needed, where = np.unique(video, return_inverse=True)
        around = np.clip(frame[:, None] + np.arange(WINDOW) - WINDOW // 2, 0, FRAMES - 1)
        drawn = self.videos[self.rows[needed]]
        return drawn[torch.from_numpy(where).unsqueeze(1), torch.from_numpy(around)]
