import numpy as np

from mmml.data.audio_augment import FADE, Spliced, joined, words_of
from mmml.data.values import objects


def ramp(length: int, start: float) -> np.ndarray:
    return np.arange(length, dtype=np.float32) + start


def test_a_word_is_the_beginning_of_one_recording_and_the_end_of_another():
    first, second = ramp(1000, 0), ramp(600, 5000)
    word = joined(first, second)
    assert len(word) == 500 + 300
    assert np.array_equal(word[: 500 - FADE], first[: 500 - FADE]) and np.array_equal(
        word[500:], second[300:]
    )
    assert (np.diff(word[500 - FADE : 500]) > 0).all()  # one gives way to the other
    assert joined(first, first).tolist() == first.tolist()


def test_words_are_made_as_they_are_asked_for():
    sounds = objects([ramp(8, 0), ramp(6, 100)])
    words = Spliced(sounds, np.array([[0, 0], [0, 0], [0, 1]]), np.array([False, True, False]))
    assert [w.tolist() for w in words[:2]] == [[*range(8)], [*range(7, -1, -1)]]
    assert len(words[np.array([2])][0]) == 4 + 3
    turned = Spliced(sounds, words.takes, ~words.backwards)
    assert words.identity != turned.identity


def test_both_halves_of_a_word_are_of_one_speaker():
    speakers = np.array(["a", "a", "b", "a", "b", "b"])
    takes, backwards, counts = words_of([np.array([0, 1, 2]), np.array([3, 4, 5])], speakers)
    assert counts == [3] * 8 and backwards.tolist() == [False] * 12 + [True] * 12
    assert (speakers[takes[:, 0]] == speakers[takes[:, 1]]).all()
    first, mixed, other, second = np.split(takes[:12], 4)
    assert (first[:, 0] == first[:, 1]).all() and (second[:, 0] == second[:, 1]).all()
    assert set(mixed[:, 0]) <= {0, 1, 2} and set(mixed[:, 1]) <= {3, 4, 5}
    assert set(other[:, 0]) <= {3, 4, 5} and set(other[:, 1]) <= {0, 1, 2}
