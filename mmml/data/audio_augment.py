"""Words that nobody said: the beginning of one recording and the end of another,
forwards or backwards.
"""

import sys
from itertools import product

import numpy as np

from mmml.data.cache import code_of, key_of
from mmml.data.values import Index, Values, identity_of, objects

FADE = 160  # samples at 16 kHz over which one recording gives way to the other


class Spliced:
    """Recordings joined in their middles, made as they are asked for.

    Args:
        sounds: of float32 arrays ``[samples]``.
        takes: the two recordings of each word, ``[n, 2]``; twice the same is that recording.
        backwards: which words are played backwards, bool ``[n]``.
    """

    def __init__(self, sounds: Values, takes: np.ndarray, backwards: np.ndarray):
        self.sounds, self.takes, self.backwards = sounds, takes, backwards

    @property
    def identity(self) -> str:
        """Of all recordings, what is made of them and how."""
        made = [identity_of(self.sounds), self.takes.tolist(), self.backwards.tolist()]
        return key_of([*made, code_of(sys.modules[__name__])])

    def __len__(self) -> int:
        return len(self.takes)

    def __getitem__(self, index: Index) -> np.ndarray:
        takes, backwards = self.takes[index], self.backwards[index]
        firsts, seconds = self.sounds[takes[:, 0]], self.sounds[takes[:, 1]]
        words = [joined(np.asarray(a), np.asarray(b)) for a, b in zip(firsts, seconds, strict=True)]
        return objects(
            [word[::-1].copy() if b else word for word, b in zip(words, backwards, strict=True)]
        )


def joined(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The first half of one recording and the second half of another, faded into one another."""
    end, start = len(first) // 2, len(second) // 2
    fade = min(FADE, end, start)
    rise = np.linspace(0, 1, fade, dtype=np.float32)
    fades = first[end - fade : end]
    middle = fades + (second[start - fade : start] - fades) * rise
    return np.concatenate([first[: end - fade], middle, second[start:]])


def words_of(
    takes: list[np.ndarray], speakers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """All pairs of what is said, and all that backwards: n² classes and then n² more.

    Args:
        takes: rows of each of n words.
        speakers: of all rows; both halves of a word are of one.

    Returns:
        ``takes`` ``[rows, 2]``, ``backwards`` ``[rows]``, and the count of rows of each
        of the 2 n² classes.
    """
    pairs, counts = [], []
    for (i, first), (j, second) in product(enumerate(takes), repeat=2):
        same = np.column_stack([first, first])
        pairs.append(
            same if i == j else _paired(first, second, speakers, np.random.default_rng([i, j]))
        )
        counts.append(len(pairs[-1]))
    forwards = np.concatenate(pairs)
    backwards = np.repeat([False, True], len(forwards))
    return np.concatenate([forwards, forwards]), backwards, counts * 2


def _paired(
    first: np.ndarray, second: np.ndarray, speakers: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Each row of the first with a random one of the second by the same speaker,
    if there is one.
    """
    own = {speaker: second[speakers[second] == speaker] for speaker in np.unique(speakers)}
    return np.array(
        [[row, rng.choice(own[speakers[row]])] for row in first if len(own[speakers[row]])]
    ).reshape(-1, 2)
