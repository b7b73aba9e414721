import pytest
import torch

from mmml.encoders.base import CHUNK
from mmml.errors import UserError
from mmml.text.wordpiece import PAD, UNKNOWN, WordPieces
from tests.encoders.material import RAGGED, build, fresh, objects

TEXTS = ["the cat sat", "the cats sat", "a hat, a cat", "the hats"] * 5


def test_frequent_words_become_one_piece_and_others_several():
    pieces = WordPieces.train(TEXTS, 60)
    assert pieces(["cat"], 9).shape == (1, 1)
    assert pieces(["cath"], 9).shape[1] > 1
    assert torch.equal(pieces(["CAT"], 9), pieces(["cat"], 9))


def test_pieces_are_cut_and_padded():
    pieces = WordPieces.train(TEXTS, 60)
    rows = pieces(["the cat sat", "cat", "", "я"], 2)
    assert rows.shape == (4, 2) and rows[0].tolist() == pieces(["the cat"], 2)[0].tolist()
    assert rows[1, 1] == PAD and rows[2].tolist() == [UNKNOWN, PAD] == rows[3].tolist()


def test_training_is_deterministic_and_never_larger_than_asked():
    many = [f"{chr(0x4E00 + i)} {chr(0x400 + i % 200)}{chr(0x400 + i % 77)}" for i in range(600)]
    states = {WordPieces.train(many, 64).state for _ in range(3)}
    assert len(states) == 1
    assert len(WordPieces.train(many, 64)) <= 64
    assert int(WordPieces.train(many, 64)(many, 9).max()) < 64


def test_before_fit_it_says_what_is_missing():
    with pytest.raises(UserError, match="has no vocabulary yet"):
        fresh("wordpiece").encode(RAGGED["text"])


def test_the_state_is_plain_text_and_shapes_do_not_depend_on_data():
    assert isinstance(build("wordpiece").state_dict()["_extra_state"], str)
    shapes = [
        {k: v.shape for k, v in e.named_parameters()}
        for e in (build("wordpiece"), fresh("wordpiece"))
    ]
    assert shapes[0] == shapes[1]


def test_an_unfitted_state_loads():
    fresh("wordpiece").load_state_dict(fresh("wordpiece").state_dict())


def test_a_tiny_vocabulary_is_refused():
    with pytest.raises(UserError, match=r"encoder.text.vocabulary=5 must be 32 or more"):
        fresh("wordpiece", vocabulary=5)


def test_a_text_may_hold_what_stands_for_padding():
    assert PAD not in WordPieces.train(TEXTS, 60)(["[PAD] cat ##a [UNK]"], 20)[0].tolist()


def test_all_training_texts_are_learnt_from_however_many_there_are():
    """More than are read at a time; a word that comes first in the very last is one piece."""
    encoder = fresh("wordpiece", vocabulary=64)
    encoder.fit(objects([*["the cat sat"] * (2 * CHUNK), *["quux quux"] * 9]))
    assert UNKNOWN not in encoder.prepare(["quux"]) and encoder.prepare(["quux"]).shape == (1, 1)
    assert encoder.prepare(["cat"]).shape == (1, 1)


def test_a_checkpoint_has_the_vocabulary():
    fitted, again = build("wordpiece"), fresh("wordpiece")
    again.load_state_dict(fitted.state_dict())
    assert torch.equal(again.prepare(RAGGED["text"]), fitted.prepare(RAGGED["text"]))
    assert (again.prepare(RAGGED["text"]) > UNKNOWN).any()
