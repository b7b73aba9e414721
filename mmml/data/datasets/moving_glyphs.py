"""``dataset=moving_glyphs``: short videos of moving characters, with sentences that describe the
motions.

Needs no download: the characters are those of ``dataset=glyphs``. Videos are drawn on access.
"""

import sys
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmml.data.base import SPLITS, Dataset, Granularity, Samples, datasets, shuffled
from mmml.data.cache import code_of, key_of
from mmml.data.column import Column
from mmml.data.datasets.glyphs import Glyphs
from mmml.data.values import identity_of
from mmml.errors import require

FRAMES, SIDE = 12, 48  # frames of a video, and pixels on each side
SAMPLES = 12  # videos of a class
MIDDLE = (5, 7)  # frames in which the second motion may begin
SIZE = 0.6  # of a character at rest, relative to the 32 pixels of its drawing

MOTIONS = {
    "left": "moves to the left",
    "right": "moves to the right",
    "up": "moves up",
    "down": "moves down",
    "turn": "turns to the right",
    "back": "turns to the left",
    "grow": "grows",
    "shrink": "shrinks",
    "appear": "appears",
    "vanish": "vanishes",
    "meet": "meets {}",
}
NEVER_SECOND, NEVER_FIRST = ("appear",), ("vanish",)
# An opposite second motion would only undo the first.
OPPOSITE = {"left": "right", "up": "down", "turn": "back", "grow": "shrink"}


@dataclass(frozen=True)
class Scene:
    """The content of a class of videos: a character with two motions, one after the other.

    Attributes:
        actor, other: numbers of characters; the other one appears only if a motion is ``meet``.
        first, second: keys of ``MOTIONS``.
    """

    actor: int
    other: int
    first: str
    second: str

    def sentence(self, names: list[str]) -> str:
        """Describe the scene in a sentence; ``names`` are the names of all characters."""
        first, second = (MOTIONS[m].format(names[self.other]) for m in (self.first, self.second))
        return f"{names[self.actor]} {first}, then {second}"


@datasets.register("moving_glyphs")
class MovingGlyphs(Dataset):
    """Scenes of two motions, twelve videos of each; ``text`` is the true sentence, ``keyframes``
    the true key frames.

    Args:
        split_seed: which characters and which pairs of motions are held out.
        held_out: what is new in validation and test: ``characters`` (the held-out characters of
            ``dataset=glyphs``), ``motions`` (pairs of motions; each motion occurs in other pairs in
            training), or ``both``.
        scenes: of training; validation and test have a sixth of it each.
    """

    name = "moving_glyphs"
    modalities: Mapping[str, Granularity] = {"video": Granularity.SAMPLE, "text": Granularity.CLASS}

    def __init__(self, split_seed: int, held_out: str, scenes: int):
        require(
            held_out in ("characters", "motions", "both"),
            "dataset.held_out",
            held_out,
            "characters, motions or both",
        )
        require(scenes >= 60, "dataset.scenes", scenes, "60 or more")
        self.split_seed, self.held_out, self.scenes = split_seed, held_out, scenes

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Videos are uint8 ``[12, 3, 48, 48]``, bright on dark."""
        glyphs = Glyphs(self.split_seed, 0.15, 0.15).load(["image"])
        pairs = split_pairs(self.split_seed)
        found = {}
        for split in SPLITS:
            cast = split if self.held_out != "motions" else "train"
            moves = pairs[split if self.held_out != "characters" else "train"]
            part = glyphs[cast]
            names = part.classes
            count = self.scenes if split == "train" else self.scenes // 6
            scenes = choose_scenes(split, len(names), moves, count, self.split_seed)
            faces = part.columns["image"].values.unflatten(0, (len(names), -1))
            videos = Videos(faces, scenes, (self.split_seed, SPLITS.index(split)))
            sentences = [scene.sentence(names) for scene in scenes]
            columns = {
                "video": Column(videos),
                "text": Column.of_texts([[sentence] for sentence in sentences]),
            }
            starts = np.arange(count + 1) * SAMPLES
            kept_apart = self._kept_apart(split, names, scenes)
            found[split] = Samples(
                sentences, starts, columns, keyframes=videos.keyframes, kept_apart=kept_apart
            )
        return found

    def _kept_apart(self, split: str, names: list[str], scenes: list[Scene]) -> list[str]:
        """Characters and pairs of motions of a split; for test only the new ones."""
        shown = {"characters": {names[i] for s in scenes for i in (s.actor, s.other)}}
        shown["motions"] = {f"{s.first}, then {s.second}" for s in scenes}
        kinds = [kind for kind in shown if split != "test" or self.held_out in (kind, "both")]
        return sorted(name for kind in kinds for name in shown[kind])


def split_pairs(seed: int) -> dict[str, list[tuple[str, str]]]:
    """Split the ordered pairs of motions: an eighth for validation, a fifth for test, the rest for
    training.
    """
    pairs = [
        (a, b)
        for a, b in product(MOTIONS, MOTIONS)
        if a != b
        and a not in NEVER_FIRST
        and b not in NEVER_SECOND
        and OPPOSITE.get(a) != b
        and OPPOSITE.get(b) != a
    ]
    order = [pairs[i] for i in shuffled([f"{a} {b}" for a, b in pairs], seed)]
    val, test = len(order) // 8, len(order) // 5
    return {"val": order[:val], "test": order[val : val + test], "train": order[val + test :]}


def choose_scenes(
    split: str, cast: int, pairs: list[tuple[str, str]], count: int, seed: int
) -> list[Scene]:
    """Choose ``count`` different scenes at random."""
    rng = np.random.default_rng([seed, SPLITS.index(split)])
    chosen = rng.choice(cast * len(pairs), count, replace=False)
    others = rng.integers(1, cast, count)
    return [
        Scene(
            int(n) // len(pairs),
            (int(n) // len(pairs) + int(o)) % cast,
            *pairs[int(n) % len(pairs)],
        )
        for n, o in zip(chosen, others, strict=True)
    ]


class Videos:
    """Videos of scenes, ``SAMPLES`` of each scene, drawn on access.

    Args:
        faces: drawings of the characters, uint8 ``[characters, faces, 32, 32]``.
        scenes: of the classes.
        seed: of positions, sizes and times.
        change_frames: the first and the last frame in which a second motion may begin.
    """

    def __init__(
        self,
        faces: Tensor,
        scenes: list[Scene],
        seed: tuple[int, ...],
        change_frames: tuple[int, int] = MIDDLE,
    ):
        self.faces, self.scenes = faces, scenes
        code = code_of(sys.modules[__name__])
        self.identity = key_of(
            [identity_of(faces), [astuple(scene) for scene in scenes], seed, change_frames, code]
        )
        rng = np.random.default_rng([*seed, len(scenes)])
        count = len(scenes) * SAMPLES
        self.change_frames = rng.integers(
            change_frames[0], change_frames[1] + 1, count
        )  # the frame in which the second motion begins
        self.position = rng.uniform(-0.15, 0.15, (count, 2))
        self.size = rng.uniform(0.85, 1.15, count)
        self.face = np.arange(count) % faces.shape[1]

    def __len__(self) -> int:
        return len(self.change_frames)

    @property
    def keyframes(self) -> np.ndarray:
        """The frame in the middle of each motion, bool ``[videos, FRAMES]``."""
        shown = np.zeros((len(self), FRAMES), bool)
        rows = np.arange(len(self))
        shown[rows, self.change_frames // 2] = True
        shown[rows, (self.change_frames + FRAMES) // 2] = True
        return shown

    def __getitem__(self, index: Any) -> Tensor:
        rows = np.arange(len(self))[index]
        scenes = [self.scenes[r // SAMPLES] for r in rows]
        states = [self._states(scene, r) for scene, r in zip(scenes, rows, strict=True)]
        actors, others = (torch.from_numpy(np.stack(s)).float() for s in zip(*states, strict=True))
        faces = torch.from_numpy(self.face[rows])
        ink = torch.maximum(
            drawn(self.faces[torch.tensor([s.actor for s in scenes]), faces], actors),
            drawn(self.faces[torch.tensor([s.other for s in scenes]), faces], others),
        )
        return ink.unsqueeze(2).expand(-1, -1, 3, -1, -1)

    def _states(self, scene: Scene, row: int) -> tuple[np.ndarray, np.ndarray]:
        """The states of the actor and of the other character in each frame, ``[T, 5]`` each: x and
        y of the centre, angle, size and opacity.
        """
        change_frames, states = int(self.change_frames[row]), []
        for t in range(FRAMES):
            shares = {
                scene.first: min(1.0, t / (change_frames - 1)),
                scene.second: max(0.0, (t - change_frames + 1) / (FRAMES - change_frames)),
            }
            states.append(state_after(shares, self.position[row], float(self.size[row])))
        actors, others = zip(*states, strict=True)
        return np.array(actors), np.array(others)


def state_after(
    shares: Mapping[str, float], position: np.ndarray, size: float
) -> tuple[list[float], list[float]]:
    """Return the states of the two characters (x, y, angle, size, opacity) when a share of each
    motion is done.
    """
    of = {motion: shares.get(motion, 0.0) for motion in MOTIONS}
    x = position[0] + 0.45 * (of["right"] - of["left"])
    y = position[1] + 0.45 * (of["down"] - of["up"])
    angle = np.pi / 2 * (of["turn"] - of["back"])
    size *= SIZE * (1 + 0.7 * of["grow"]) * (1 - 0.5 * of["shrink"])
    visible = (of["appear"] if "appear" in shares else 1.0) * (1 - of["vanish"])
    # The other character comes from the side with more room.
    side = -1.0 if position[0] > 0 else 1.0
    other = [x + side * (1.4 - 0.8 * of["meet"]), y, 0.0, size, float(of["meet"] > 0)]
    return [x, y, angle, size, visible], other


def drawn(faces: Tensor, states: Tensor) -> Tensor:
    """Draw characters ``[n, 32, 32]`` in their states ``[n, T, 5]``: uint8
    ``[n, T, SIDE, SIDE]``.
    """
    x, y, angle, size, visible = states.flatten(0, 1).T
    cos, sin = angle.cos() / size, angle.sin() / size
    # Maps canvas to drawing: shift to the character's centre, rotate back, scale.
    theta = torch.stack([cos, sin, -(cos * x + sin * y), -sin, cos, sin * x - cos * y], dim=1).view(
        -1, 2, 3
    )
    images = (
        faces.float().unsqueeze(1).expand(-1, states.shape[1], -1, -1).flatten(0, 1).unsqueeze(1)
    )
    grid = F.affine_grid(theta, [len(theta), 1, SIDE, SIDE], align_corners=False)
    ink = F.grid_sample(images, grid, align_corners=False).squeeze(1) * visible.view(-1, 1, 1)
    return ink.round().to(torch.uint8).unflatten(0, states.shape[:2])
