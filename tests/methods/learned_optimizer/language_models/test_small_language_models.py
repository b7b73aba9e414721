"""The language model that is trained from scratch, and the word pieces that it learns."""

from dataclasses import replace

import pytest
import torch

from mmml.data.column import Column
from mmml.data.values import objects
from mmml.errors import UserError
from mmml.methods.learned_optimizer.language_models.small import gpt2
from mmml.tasks.generation.support_texts import SupportTexts
from mmml.text.tokens import ByteTokens
from tests.tasks.making import learned, model_of, named, task

__all__ = ["named"]  # a fixture


def test_a_learner_is_saved_with_its_pieces(named):
    first, second = (learned({"vocabulary": 40}) for _ in range(2))
    first.fit(named)
    second.load_state_dict(first.state_dict())
    tokens = [model_of(one).tokens for one in (first, second)]
    assert torch.equal(*(t.encode(["cato", "bird"]) for t in tokens))


def test_references_keep_what_no_piece_is_of(named):
    learner, odd = learned({"vocabulary": 40}), objects(["ž ☃ sunset", *["cat"] * 39])
    learner.fit(named)
    samples = replace(named, columns={**named.columns, "text": Column(odd)})
    answers = task().prepare(samples).columns["text"].values[None, :1]
    tokens = model_of(learner).tokens
    assert "☃" not in tokens.decode(tokens.of(answers[0]))[0]
    own = task().scores(SupportTexts(torch.zeros(1, 1, 1), answers), answers)
    assert all(s.item() == 1 for m, s in own.items() if m.name != "BLEU")


def test_heads_must_share_the_width():
    with pytest.raises(
        UserError, match=r"heads=3 must be a divisor of method\.language_model\.width=16"
    ):
        gpt2(ByteTokens(), 16, 1, 3, 8)
