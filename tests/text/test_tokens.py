"""Texts as tokens of a language model: bytes and learned pieces."""

import pytest
import torch

from mmml.errors import UserError
from mmml.text.tokens import END, ByteTokens, PieceTokens

LONG, SHORT = "a red cat sat on the mat", "a red cat"


class TestTokens:
    def test_texts_come_back(self):
        texts = ["cat", "číslo", "ปลา", "🐟", ""]
        tokens = ByteTokens().encode(texts)
        assert tokens[0].tolist()[:5] == [99, 97, 116, END, -1]
        assert ByteTokens().decode(tokens) == ["cat", "číslo", "ปลา", "🐟", " "]

    def test_a_broken_character_is_left_out(self):
        assert ByteTokens().decode(torch.tensor([[99, 0xC4, 97, END, 98]])) == ["ca"]


class TestPieces:
    texts = ("A black dog jumps.", "Ein Hund, der springt!", "číslo 1")

    @pytest.fixture
    def tokens(self):
        tokens = PieceTokens(200)
        tokens.fit(self.texts * 3)
        return tokens

    def test_texts_of_known_letters_come_back(self, tokens):
        read = tokens.encode([*self.texts, "A Hund."])
        assert read.max() < 200 and (read == tokens.end).sum(-1).tolist() == [1] * 4
        assert tokens.decode(read) == [*self.texts, "A Hund."]

    def test_a_checkpoint_keeps_them(self, tokens):
        other = PieceTokens(200)
        other.state = tokens.state
        assert torch.equal(other.encode(self.texts), tokens.encode(self.texts))

    def test_too_few_are_refused(self):
        with pytest.raises(
            UserError, match=r"method.language_model.vocabulary=8 must be 32 or more"
        ):
            PieceTokens(8)


def test_other_pieces_read_texts_anew():
    """Those of a checkpoint, and those that are learned once more."""
    own, other = PieceTokens(64), PieceTokens(64)
    own.fit([LONG] * 3), other.fit(["the tar", "a mat"] * 3)
    wanted = own.encode([SHORT])
    assert not torch.equal(other.encode([SHORT]), wanted)
    other.state = own.state
    assert torch.equal(other.encode([SHORT]), wanted)
    other.fit(["the tar", "a mat"] * 3)
    assert not torch.equal(other.encode([SHORT]), wanted)


def test_no_piece_is_taken_for_the_end():
    """The first of all pieces, a space alone, has the number that the end of a text has."""
    own = PieceTokens(64)
    own.fit(["a cat", "a hat", "a b"] * 3)
    read = own.encode(["a  cat", "b"])
    assert (read == own.end).sum(-1).tolist() == [1, 1] and own.pieces(["a  cat"], 9)[0][
        1
    ] == own.end
    assert own.decode(read) == ["a  cat", "b"]
