"""What word pieces keep of texts."""

from mmml.text.wordpiece import UNKNOWN, WordPieces


def test_the_most_frequent_characters_are_known():
    """Of 30 characters in the alphabet of these texts the vocabulary holds ten at most."""
    rare = [chr(0x4E00 + i) for i in range(28)]
    pieces = WordPieces.train([*["ab"] * 40, *rare], 32)
    assert UNKNOWN not in pieces(["ab", "a", "b"], 9) and pieces([rare[-1]], 9).tolist() == [
        [UNKNOWN]
    ]


def test_whole_texts_come_back_and_what_is_unknown_is_left_out():
    pieces = WordPieces.train(["The cat, the Hat"] * 9, 80, whole_words=True)
    tokens = pieces(["The Hat, the cat"], 40)[0].tolist()
    assert pieces.text(tokens) == "The Hat, the cat"
    assert pieces.text([*tokens, UNKNOWN, 0]) == "The Hat, the cat"
