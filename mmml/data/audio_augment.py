"""Augmentation of spoken words: the first half of one recording joined to the second half of
another, forwards or backwards.
"""

import sys
from itertools import product

import numpy as np

from mmml.data.cache import code_of, key_of
from mmml.data.values import Index, Values, identity_of, objects

FADE = 160  # samples at 16 kHz of the cross-fade between the two recordings


class Spliced:
    """Recordings that are joined from two halves on access.

    Args:
        sounds: of float32 arrays ``[samples]``.
        takes: the two recordings of each word, ``[n, 2]``; a recording with itself stays unchanged.
        backwards: which words are played backwards, bool ``[n]``.
    """

    def __init__(self, sounds: Values, takes: np.ndarray, backwards: np.ndarray):
        self.sounds, self.takes, self.backwards = sounds, takes, backwards

    @property
    def identity(self) -> str:
        """A hash of all recordings, of how they are joined, and of this code."""
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
    """Join the first half of one recording to the second half of another, with a cross-fade."""
    end, start = len(first) // 2, len(second) // 2
    fade = min(FADE, end, start)
    rise = np.linspace(0, 1, fade, dtype=np.float32)
    fades = first[end - fade : end]
    middle = fades + (second[start - fade : start] - fades) * rise
    return np.concatenate([first[: end - fade], middle, second[start:]])


def words_of(
    takes: list[np.ndarray], speakers: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Return all n² ordered pairs of words as classes, and then the same pairs played backwards.

    Args:
        takes: rows of each of n words.
        speakers: of all rows; both halves of a new word have the same speaker.

    Returns:
        ``takes`` ``[rows, 2]``, ``backwards`` ``[rows]``, and the number of rows of each of the 2
        n² classes.
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
    """Pair each row of the first word with a random row of the second word by the same speaker;
    rows whose speaker has none are left out.
    """
    own = {speaker: second[speakers[second] == speaker] for speaker in np.unique(speakers)}
    return np.array(
        [[row, rng.choice(own[speakers[row]])] for row in first if len(own[speakers[row]])]
    ).reshape(-1, 2)
