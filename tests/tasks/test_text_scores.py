"""Scores of written texts: the written text, the reference, and the query that both belong to."""

import pytest
import torch

from mmml.tasks.generation import scores
from mmml.tasks.generation.support_texts import SupportTexts, alike
from mmml.tasks.generation.task import BLEU, CHRF, EXACT, ROUGE, Generation
from mmml.text.tokens import BYTES

LONG = "a red cat sat on the mat"
SHORT = "a red cat"
LONGER = "the cat sat on the mat and slept there"
EVEN = "the cat sat on the mat"


def test_chrf_weighs_what_was_asked_for():
    """Its F-score counts recall twice as much as precision: to write too little is worse
    than to write too much.
    """
    assert scores.chrf(LONG, SHORT) == pytest.approx(0.6621, abs=1e-4)
    assert scores.chrf(SHORT, LONG) == pytest.approx(0.3288, abs=1e-4)


def test_bleu_punishes_what_is_too_short():
    """All that was written is right, but for its length: e^(1 − 9/6); the other way
    round words are wrong.
    """
    assert scores.bleu([EVEN], [LONGER]) == pytest.approx(0.6065, abs=1e-4)
    assert scores.bleu([LONGER], [EVEN]) == pytest.approx(0.5874, abs=1e-4)


def test_bleu_is_that_of_all_texts_together_and_not_their_mean():
    """Counts of n-grams are added up: 8 of 9 words are right, 5 of 7 pairs, 4 of 5 triples
    and all 3 of four.
    """
    written, references = [EVEN, "a blue bird"], [EVEN, "a red bird"]
    together = (8 / 9 * 5 / 7 * 4 / 5 * 3 / 3) ** 0.25
    assert scores.bleu(written, references) == pytest.approx(together, abs=1e-4)


def generation() -> Generation:
    return Generation("text")


def known(texts):
    """Every query is answered with the text of its number."""
    return SupportTexts(torch.eye(len(texts))[None].log(), BYTES.encode(texts)[None])


def test_every_query_is_judged_by_its_own_text():
    found = generation().scores(known([LONG, EVEN]), BYTES.encode([SHORT, LONGER])[None])
    assert found[CHRF][0].tolist() == pytest.approx(
        [scores.chrf(LONG, SHORT), scores.chrf(EVEN, LONGER)]
    )
    assert found[BLEU].tolist() == [[pytest.approx(scores.bleu([LONG, EVEN], [SHORT, LONGER]))]]
    assert found[ROUGE][0].tolist() == pytest.approx([2 * 3 / 10, 2 * 6 / 15]) and found[
        EXACT
    ].tolist() == [[0, 0]]


def test_spaces_around_a_text_do_not_matter():
    found = generation().scores(
        known([" a red cat", "a  red cat"]), BYTES.encode(["a red cat ", "a red cat"])[None]
    )
    assert found[EXACT].tolist() == [[1, 0]]


def test_texts_are_alike_however_they_are_padded():
    two, three = (BYTES.encode([SHORT, "a red hat", *more])[None] for more in ([], [LONGER]))
    assert torch.allclose(alike(three, three)[:, :2, :2], alike(two, two))
    assert 0.3 < alike(two, three)[0, 0, 1] < 1


def test_two_that_are_alike_win_over_one_that_weighs_more():
    texts = BYTES.encode(["red cat", "red cats", "blue whale"])[None]
    weighed = SupportTexts(torch.tensor([[[0.3, 0.3, 0.4]]]).log(), texts)
    assert BYTES.decode(weighed.chosen()[0])[0].startswith("red cat")
